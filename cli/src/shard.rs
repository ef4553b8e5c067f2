//! `--shard`: one of the equal parts of a job, by its number or by what a scheduler of jobs says.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use timesclip::cache::store::Shard;

/// Number of a task of a Slurm array, and how many there are.
const SLURM: [&str; 2] = ["SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"];
/// Number of a pod of an indexed Kubernetes job, from 0.
const KUBERNETES: &str = "JOB_COMPLETION_INDEX";

/// Reads `I/N`, `auto/N` (I from the scheduler) or `auto` (both from Slurm).
///
/// # Errors
/// What is wrong with it, for the user.
pub(crate) fn parse(flag: &str) -> Result<Shard, String> {
    resolve(flag, |name| env::var(name).ok())
}

fn resolve(flag: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let auto = flag.strip_prefix("auto");
    let Some(count) = auto.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return flag.parse().map_err(|error| format!("{error}"));
    };
    let number = |name: &str| -> Result<Option<u32>, String> {
        let Some(text) = variable(name) else {
            return Ok(None);
        };
        let number = text.parse();
        number
            .map(Some)
            .map_err(|_| format!("the variable {name} is `{text}`, expected a number"))
    };
    let (task, slurm) = match (number(SLURM[0])?, number(KUBERNETES)?) {
        (Some(task), _) => (task, true),
        (None, Some(index)) => (index.saturating_add(1), false),
        (None, None) => {
            return Err(format!(
                "`auto` reads {} or {KUBERNETES}, and neither is set",
                SLURM[0]
            ));
        }
    };
    let count = match count.strip_prefix('/') {
        Some(count) => count.parse().map_err(|_| {
            format!("`{flag}` is no shard, expected how many there are, as in auto/8")
        })?,
        None if slurm => number(SLURM[1])?.ok_or_else(|| format!("{} is not set", SLURM[1]))?,
        None => {
            return Err(format!(
                "{KUBERNETES} says which shard and not of how many: auto/N, where N is the job's \
                 `completions`"
            ));
        }
    };
    Shard::new(task, count).map_err(|error| match slurm {
        true => format!(
            "{error}: number the array from 1 (--array=1-{count}), and to run some tasks again say \
             how many there are of all (--shard auto/N)"
        ),
        false => error.to_string(),
    })
}

/// The file of a shard of what would be written to `out`: `out-00002-of-00008.csv`.
pub(crate) fn path(out: &Path, shard: Shard) -> PathBuf {
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}-{:05}-of-{:05}", shard.number(), shard.count());
    let name = match out.extension() {
        Some(extension) => format!("{name}.{}", extension.to_string_lossy()),
        None => name,
    };
    out.with_file_name(name)
}

/// Whether a file is there, and none of what it was made of is newer.
///
/// # Errors
/// If the system does not tell how old a file is.
pub(crate) fn is_finished(path: &Path, inputs: &[&Path]) -> io::Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    let made = fs::metadata(path)?.modified()?;
    for input in inputs {
        if fs::metadata(input)?.modified()? > made {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)], flag: &str) -> Result<String, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        resolve(flag, variable).map(|shard| shard.to_string())
    }

    #[test]
    fn a_scheduler_says_which_shard() {
        assert_eq!(with(&[], "2/8").unwrap(), "2/8");
        let slurm = [(SLURM[0], "3"), (SLURM[1], "4")];
        assert_eq!(with(&slurm, "auto").unwrap(), "3/4");
        assert_eq!(with(&slurm, "auto/16").unwrap(), "3/16");
        assert_eq!(with(&[(KUBERNETES, "0")], "auto/5").unwrap(), "1/5");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let says = |variables: &[(&str, &str)], flag, what: &str| {
            let error = with(variables, flag).unwrap_err();
            assert!(error.contains(what), "{flag}: {error}");
        };
        says(&[], "auto", "neither is set");
        says(&[(KUBERNETES, "0")], "auto", "completions");
        says(&[(KUBERNETES, "5")], "auto/5", "no shard 6 of 5");
        says(&[(SLURM[0], "0"), (SLURM[1], "4")], "auto", "--array=1-4");
        says(
            &[(SLURM[0], "7"), (SLURM[1], "2")],
            "auto",
            "--shard auto/N",
        );
        says(&[(SLURM[0], "x")], "auto/2", "`x`");
        says(&[], "automatic", "`automatic` is no shard");
        says(&[], "3", "`3` is no shard");
    }

    #[test]
    fn the_file_of_a_shard_has_its_number() {
        let shard = Shard::new(2, 8).unwrap();
        let path = path(Path::new("out/answers.csv"), shard);
        assert_eq!(path, Path::new("out/answers-00002-of-00008.csv"));
    }
}
