//! What a person sees at the end of a run: scores of every class, learning curves as lines of blocks.

use timesclip::Evaluation;
use timesclip::classifier::FoldReport;
use timesclip::train::EpochRecord;

/// Classes of the table; of more, those with the lowest F1.
const CLASSES: usize = 20;
/// Columns of a class's name.
const NAME: usize = 24;
/// Columns of a learning curve.
const COLUMNS: usize = 40;
/// Heights of a column, from low to high.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Samples, precision, recall and F1 of every class, a line each; of many, of the hardest.
pub(crate) fn class_table(test: &Evaluation) -> String {
    let mut classes: Vec<_> = test
        .per_class
        .iter()
        .filter(|class| class.support > 0)
        .collect();
    let n = classes.len();
    let title = match n > CLASSES {
        true => {
            classes.sort_by(|a, b| a.f1.unwrap_or(0.0).total_cmp(&b.f1.unwrap_or(0.0)));
            classes.truncate(CLASSES);
            format!("hardest {CLASSES} of {n}")
        }
        false => "class".to_owned(),
    };
    let score = |score: Option<f64>| score.map_or("-".to_owned(), |score| format!("{score:.3}"));
    let head = format!("{title:NAME$}  samples  precision  recall     F1");
    let rows = classes.iter().map(|class| {
        format!(
            "\n{:NAME$}  {:>7}  {:>9}  {:>6}  {:>5}",
            plain(&class.name),
            class.support,
            score(class.precision),
            score(class.recall),
            score(class.f1)
        )
    });
    std::iter::once(head).chain(rows).collect()
}

/// A name that leaves a terminal as it is, cut to a column's width.
fn plain(name: &str) -> String {
    let clean = name.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(NAME + 1).collect();
    if short.chars().count() > NAME {
        short = short.chars().take(NAME - 1).chain(['…']).collect();
    }
    short
}

/// The losses of each fold's epochs as a line of blocks, high for a high loss; held-out losses where
/// there are some.
pub(crate) fn curves(folds: &[FoldReport]) -> Vec<String> {
    let folds = folds.iter().zip(1..);
    let lines = folds.filter_map(|(fold, number)| {
        let loss = |record: &EpochRecord| record.valid_loss.unwrap_or(record.train_loss);
        let losses: Vec<f64> = fold.history.iter().map(loss).collect();
        let (first, last) = (losses.first()?, losses.last()?);
        let line = blocks(&losses)?;
        Some(format!("fold {number}  loss {first:.3} {line} {last:.3}"))
    });
    lines.collect()
}

/// Values as a line of blocks, at most [`COLUMNS`] long; none of fewer than two.
fn blocks(values: &[f64]) -> Option<String> {
    let n = values.len();
    let columns = n.min(COLUMNS);
    if n < 2 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let means = (0..columns).map(|i| {
        let part = &values[i * n / columns..(i + 1) * n / columns];
        part.iter().sum::<f64>() / part.len() as f64
    });
    let means: Vec<f64> = means.collect();
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let top = BLOCKS.len() - 1;
    let block = |value: &f64| {
        let height = (value - low) / (high - low).max(f64::MIN_POSITIVE);
        // The block whose place is nearest below.
        let below = (1..=top).filter(|i| height * BLOCKS.len() as f64 >= *i as f64);
        BLOCKS[below.count()]
    };
    Some(means.iter().map(block).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_go_from_high_to_low_blocks_and_are_no_longer_than_a_line() {
        assert_eq!(blocks(&[4.0, 2.0, 0.0]).as_deref(), Some("█▅▁"));
        assert_eq!(blocks(&[1.0, 1.0]).as_deref(), Some("▁▁"));
        assert_eq!(blocks(&[1.0]), None);
        assert_eq!(blocks(&[1.0, f64::NAN]), None);
        let long: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(
            blocks(&long).map(|line| line.chars().count()),
            Some(COLUMNS)
        );
    }

    #[test]
    fn names_cannot_move_the_cursor_and_are_cut() {
        assert_eq!(plain("a\u{1b}[2Jb"), "a [2Jb");
        assert_eq!(plain(&"x".repeat(30)).chars().count(), NAME);
    }
}
