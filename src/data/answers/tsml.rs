//! The result file that `tsml-eval` and the archive's benchmarks read.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::files::write_atomically;

/// The answers of a classifier for a test set, with what benchmarks ask for.
///
/// Times are in milliseconds; `None` is written as unknown.
#[derive(Clone, Debug)]
pub struct TsmlResult<'a> {
    /// Name of the data set.
    pub dataset: &'a str,
    /// Name of the classifier, which is a folder of the results.
    pub classifier: &'a str,
    /// Number of the resample: 0 is the archive's own split, others are seeds.
    pub resample: u64,
    /// What was set, for people.
    pub parameters: &'a str,
    /// Names of the classes.
    pub class_names: &'a [String],
    /// Class of each sample `[n_samples]`.
    pub labels: &'a [usize],
    /// Probabilities of each sample `[n_samples][n_classes]`.
    pub probabilities: &'a [Vec<f32>],
    /// Time of training.
    pub fit_milliseconds: Option<u64>,
    /// Time of predicting all samples.
    pub predict_milliseconds: Option<u64>,
}

impl TsmlResult<'_> {
    /// Writes `FOLDER/CLASSIFIER/Predictions/DATASET/testResampleN.csv`, and gives its path.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        let (dataset, classifier) = (plain(self.dataset), plain(self.classifier));
        let folder = folder.join(&classifier).join("Predictions").join(&dataset);
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("testResample{}.csv", self.resample));
        write_atomically(&path, |beside| {
            let mut file = BufWriter::new(File::create(beside)?);
            self.write_to(&mut file)?;
            file.flush()
        })
        .map_err(|error| error.source)?;
        Ok(path)
    }

    /// Writes the file into anything.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write_to(&self, mut out: impl Write) -> io::Result<()> {
        let names = self.class_names.iter().enumerate();
        let names = names.map(|(index, name)| format!("{index} is {}", plain(name)));
        let names: Vec<String> = names.collect();
        writeln!(
            out,
            "{},{},TEST,{},MILLISECONDS,timesclip {}; {}",
            plain(self.dataset),
            plain(self.classifier),
            self.resample,
            env!("CARGO_PKG_VERSION"),
            names.join("; ")
        )?;
        let parameters = plain(self.parameters);
        writeln!(
            out,
            "{}",
            if parameters.is_empty() {
                "No Parameter Info"
            } else {
                &parameters
            }
        )?;
        let predicted: Vec<usize> = self.probabilities.iter().map(|all| most(all)).collect();
        let hits = self
            .labels
            .iter()
            .zip(&predicted)
            .filter(|(label, found)| label == found);
        let accuracy = hits.count() as f64 / self.labels.len().max(1) as f64;
        let time = |time: Option<u64>| time.map_or("-1".to_owned(), |time| time.to_string());
        let (fit, predict) = (time(self.fit_milliseconds), time(self.predict_milliseconds));
        let n_classes = self.class_names.len();
        writeln!(out, "{accuracy},{fit},{predict},-1,-1,{n_classes},,-1,-1")?;
        for ((label, found), all) in self.labels.iter().zip(predicted).zip(self.probabilities) {
            write!(out, "{label},{found},")?;
            all.iter()
                .try_for_each(|probability| write!(out, ",{probability}"))?;
            writeln!(out)?;
        }
        Ok(())
    }
}

/// The first of the classes that are equally probable.
fn most(probabilities: &[f32]) -> usize {
    let classes = (0..probabilities.len()).rev();
    let best = classes.max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    best.unwrap_or_default()
}

/// Text that neither ends a cell, a line nor a folder.
fn plain(text: &str) -> String {
    let odd = |letter: char| letter.is_control() || ",/\\\"".contains(letter);
    let text: String = text
        .chars()
        .map(|letter| if odd(letter) { '_' } else { letter })
        .collect();
    text.trim().trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_as_the_benchmarks_read_it() {
        let names = ["walk, fast".to_owned(), "run".to_owned()];
        let result = TsmlResult {
            dataset: "Gestures",
            classifier: "TimesClip",
            resample: 0,
            parameters: "",
            class_names: &names,
            labels: &[0, 1, 1],
            probabilities: &[vec![0.75, 0.25], vec![0.5, 0.5], vec![0.125, 0.875]],
            fit_milliseconds: Some(1500),
            predict_milliseconds: None,
        };
        let folder = tempfile::tempdir().unwrap();

        let path = result.write(folder.path()).unwrap();

        let relative = path.strip_prefix(folder.path()).unwrap();
        assert_eq!(
            relative,
            Path::new("TimesClip/Predictions/Gestures/testResample0.csv")
        );
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            lines,
            [
                &format!(
                    "Gestures,TimesClip,TEST,0,MILLISECONDS,timesclip {version}; 0 is walk_ fast; 1 is run"
                ),
                "No Parameter Info",
                "0.6666666666666666,1500,-1,-1,-1,2,,-1,-1",
                "0,0,,0.75,0.25",
                "1,0,,0.5,0.5",
                "1,1,,0.125,0.875",
            ]
        );
    }
}
