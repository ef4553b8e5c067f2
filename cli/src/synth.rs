//! `timesclip synth`: labeled synthetic series, for demonstrations and load tests.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use timesclip::curves::{Curve, CurveGenerator, Family};

use crate::output::write_results;

/// How many series of what shape, and where they go.
#[derive(Debug, Args)]
pub(crate) struct SynthArgs {
    /// Number of samples; every fifth is the one before it with small differences
    #[arg(long, value_name = "N", default_value_t = 1000)]
    samples: u64,
    /// Variates of a sample; they share causes
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    variates: u16,
    /// Decides every sample
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Steps of every sample [default: 8 to 2,000, each sample its own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..))]
    steps: Option<u32>,
    /// ts; long: CSV with a row for each step; or wide: CSV with a row for each sample, of `--steps`
    #[arg(long = "output-format", value_name = "FORMAT", default_value = "ts")]
    format: Format,
    /// Write to a file [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Ts,
    Long,
    Wide,
}

/// Writes series; the classes are the families of curves.
///
/// # Errors
/// If they cannot be written.
pub(crate) fn run(args: &SynthArgs) -> Result<()> {
    let n_variates = usize::from(args.variates);
    let mut curves = CurveGenerator::new(args.seed);
    if let Some(n_steps) = args.steps {
        curves = curves.with_steps(n_steps as usize);
    }
    ensure!(
        args.steps.is_some() || !matches!(args.format, Format::Wide),
        "a row for each sample has columns for its steps: say how many, --steps N"
    );
    write_results(args.out.as_deref(), |out| {
        match args.format {
            Format::Ts => write_ts_header(out, args)?,
            Format::Long => write_long_header(out, n_variates)?,
            Format::Wide => write_wide_header(out, n_variates, args.steps.unwrap_or_default())?,
        }
        for id in 0..args.samples {
            let curve = curves.multivariate(id, n_variates);
            match args.format {
                Format::Ts => write_ts(out, &curve)?,
                Format::Long => write_long(out, id, &curve)?,
                Format::Wide => write_wide(out, id, &curve)?,
            }
        }
        Ok(())
    })
}

fn write_ts_header(out: &mut dyn Write, args: &SynthArgs) -> Result<()> {
    let names = Family::ALL.map(Family::name).join(" ");
    writeln!(out, "@problemName curves-{}", args.seed)?;
    writeln!(out, "@timeStamps false\n@missing true")?;
    writeln!(out, "@univariate {}", args.variates == 1)?;
    if args.variates > 1 {
        writeln!(out, "@dimensions {}", args.variates)?;
    }
    Ok(writeln!(
        out,
        "@equalLength false\n@classLabel true {names}\n@data"
    )?)
}

fn write_ts(out: &mut dyn Write, curve: &Curve) -> Result<()> {
    for variate in 0..curve.series.n_variates() {
        for (step, value) in curve.series.variate(variate).enumerate() {
            let comma = if step > 0 { "," } else { "" };
            match value.is_nan() {
                true => write!(out, "{comma}?")?,
                false => write!(out, "{comma}{value}")?,
            }
        }
        write!(out, ":")?;
    }
    Ok(writeln!(out, "{}", curve.family.name())?)
}

fn write_wide_header(out: &mut dyn Write, n_variates: usize, n_steps: u32) -> Result<()> {
    write!(out, "id")?;
    for variate in 0..n_variates {
        for step in 0..n_steps {
            write!(out, ",v{variate}_{step}")?;
        }
    }
    Ok(writeln!(out, ",label")?)
}

fn write_wide(out: &mut dyn Write, id: u64, curve: &Curve) -> Result<()> {
    write!(out, "{id}")?;
    for variate in 0..curve.series.n_variates() {
        for value in curve.series.variate(variate) {
            write_cell(out, value)?;
        }
    }
    Ok(writeln!(out, ",{}", curve.family.name())?)
}

fn write_long_header(out: &mut dyn Write, n_variates: usize) -> Result<()> {
    write!(out, "id,step")?;
    for variate in 0..n_variates {
        write!(out, ",v{variate}")?;
    }
    Ok(writeln!(out, ",label")?)
}

fn write_long(out: &mut dyn Write, id: u64, curve: &Curve) -> Result<()> {
    let n_variates = curve.series.n_variates();
    for (step, row) in curve.series.values().chunks_exact(n_variates).enumerate() {
        write!(out, "{id},{step}")?;
        for value in row {
            write_cell(out, *value)?;
        }
        writeln!(out, ",{}", curve.family.name())?;
    }
    Ok(())
}

/// A comma and a value, or nothing behind it if it is missing.
fn write_cell(out: &mut dyn Write, value: f32) -> Result<()> {
    match value.is_nan() {
        true => write!(out, ",")?,
        false => write!(out, ",{value}")?,
    }
    Ok(())
}
