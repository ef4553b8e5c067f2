//! `Shard`: one of several equal parts of a store, which are built apart and joined.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{BuildPhase, StoreDefect, StoreKind, u32_at};

/// Runs of numbers that a message lists.
const MOST_RUNS: usize = 16;

/// One of `count` parts of a store, numbered from 1.
///
/// Written and read as `number/count`: the tasks of an array job take `1/8` to `8/8`. Schedulers that
/// count from 0 add one.
///
/// # Examples
///
/// ```
/// use timesclip::cache::store::Shard;
///
/// let shard: Shard = "2/3".parse()?;
/// assert_eq!(shard, Shard::new(2, 3)?);
/// // Parts differ by one sample at most, and follow one another.
/// assert_eq!(shard.range(10), 3..6);
/// assert_eq!(Shard::new(3, 3)?.range(10), 6..10);
///
/// let error = "5/4".parse::<Shard>().unwrap_err();
/// assert_eq!(error.to_string(), "there is no shard 5 of 4, expected a number from 1 to 4");
/// # Ok::<(), timesclip::cache::store::ShardError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// From 1.
    number: u32,
    count: u32,
}

/// Why something is no [`Shard`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// A text is not of the form of a shard.
    #[error("`{text}` is no shard, expected its number and how many there are, as in 2/8")]
    Form {
        /// The text.
        text: String,
    },
    /// There is no shard of this number.
    #[error("there is no shard {number} of {count}, expected a number from 1 to {}", (*.count).max(1))]
    Number {
        /// The number.
        number: u32,
        /// How many shards there are.
        count: u32,
    },
}

impl Shard {
    /// The shard `number`, from 1, of `count`.
    ///
    /// # Errors
    ///
    /// [`ShardError::Number`] unless `number` is in `1..=count`.
    pub fn new(number: u32, count: u32) -> Result<Self, ShardError> {
        if (1..=count).contains(&number) {
            Ok(Self { number, count })
        } else {
            Err(ShardError::Number { number, count })
        }
    }

    /// Its number, from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many shards there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Positions of its samples in a store of `n_samples`; none if there are more shards than samples
    /// and this one is left without.
    pub fn range(self, n_samples: usize) -> Range<usize> {
        let bound = |number: u32| {
            let bound = n_samples as u128 * u128::from(number) / u128::from(self.count);
            // No bound is above the number of samples, and so it fits.
            usize::try_from(bound).unwrap_or(n_samples)
        };
        bound(self.number - 1)..bound(self.number)
    }

    /// The file of this shard of the store at `path`.
    pub fn path(self, store: impl AsRef<Path>) -> PathBuf {
        let Self { number, count } = self;
        let ending = format!("shard-{number}-of-{count}");
        store.as_ref().with_added_extension(ending)
    }

    /// Takes the name of a shard apart: the name of the store, and which shard; nothing if it is not
    /// exactly as [`path`](Self::path) writes it.
    pub(super) fn split_name(name: &str) -> Option<(&str, Self)> {
        let (store, ending) = name.rsplit_once('.')?;
        let (number, count) = ending.strip_prefix("shard-")?.split_once("-of-")?;
        let shard = Self::new(number.parse().ok()?, count.parse().ok()?).ok()?;
        (shard.path(store).as_os_str() == name).then_some((store, shard))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let numbers = text.split_once('/').and_then(|(number, count)| {
            Some((number.parse::<u32>().ok()?, count.parse::<u32>().ok()?))
        });
        let (number, count) = numbers.ok_or_else(|| ShardError::Form { text: text.into() })?;
        Self::new(number, count)
    }
}

/// A shard that is there and whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltShard {
    /// Where it is; the store itself if that is complete already and needs no shard.
    pub path: PathBuf,
    /// Positions of its samples in the store.
    pub samples: Range<usize>,
    /// Samples that this process drew or encoded; what earlier ones did is not counted.
    pub n_made: usize,
    /// Bytes of the file.
    pub bytes: u64,
    /// What was wrong with the file that was found first and is replaced by now.
    pub replaced: Option<StoreDefect>,
}

/// What a shard says of itself: a store of its own, of some samples of `whole`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShardHeader<K> {
    pub(crate) whole: K,
    pub(crate) shard: Shard,
}

impl<K: StoreKind> ShardHeader<K> {
    /// Positions of its samples in the whole store.
    pub(super) fn range(&self) -> Range<usize> {
        self.shard.range(self.whole.n_samples())
    }

    /// What the whole store holds, if this is the header of the shard `expected`.
    pub(super) fn of_shard(self, expected: Shard) -> Result<K, StoreDefect> {
        let found = self.shard;
        if found == expected {
            Ok(self.whole)
        } else {
            Err(StoreDefect::OtherShard { found, expected })
        }
    }
}

impl<K: StoreKind> StoreKind for ShardHeader<K> {
    type Error = K::Error;

    /// In small letters, so that neither file is taken for the other.
    const MAGIC: [u8; 8] = in_small_letters(K::MAGIC);
    const END_MAGIC: [u8; 8] = in_small_letters(K::END_MAGIC);
    const VERSION: u32 = K::VERSION;
    const EXTENSION: &'static str = K::EXTENSION;
    const PHASE: BuildPhase = K::PHASE;
    const FIELDS_LEN: usize = K::FIELDS_LEN + 8;

    fn key_digits(&self) -> String {
        self.whole.key_digits()
    }

    fn n_samples(&self) -> usize {
        self.range().len()
    }

    fn n_variates(&self) -> usize {
        self.whole.n_variates()
    }

    fn body_lens(&self) -> Option<RangeInclusive<u64>> {
        self.whole.body_lens()
    }

    fn fields(&self) -> Vec<u8> {
        let mut fields = self.whole.fields();
        fields.extend_from_slice(&self.shard.number.to_le_bytes());
        fields.extend_from_slice(&self.shard.count.to_le_bytes());
        fields
    }

    fn text(&self) -> &str {
        self.whole.text()
    }

    fn from_parts(fields: &[u8], text: String) -> Option<Self> {
        let (of_whole, own) = fields.split_at_checked(K::FIELDS_LEN)?;
        Some(Self {
            whole: K::from_parts(of_whole, text)?,
            shard: Shard::new(u32_at(own, 0), u32_at(own, 4)).ok()?,
        })
    }

    fn check(&self, found: &Self) -> Result<(), StoreDefect> {
        self.whole.check(&found.whole)?;
        let (found, expected) = (found.shard, self.shard);
        if found == expected {
            Ok(())
        } else {
            Err(StoreDefect::OtherShard { found, expected })
        }
    }
}

const fn in_small_letters(mut magic: [u8; 8]) -> [u8; 8] {
    magic.make_ascii_lowercase();
    magic
}

/// Numbers in order, runs of them shortened, and no more than can be read: `1, 3-6, 9`.
pub(crate) fn list_numbers(numbers: &[u32]) -> String {
    let mut runs: Vec<RangeInclusive<u32>> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some(run) if run.end().checked_add(1) == Some(number) => *run = *run.start()..=number,
            _ => runs.push(number..=number),
        }
    }
    let words = runs.iter().map(|run| match run.end() - run.start() {
        0 => run.start().to_string(),
        _ => format!("{}-{}", run.start(), run.end()),
    });
    let mut words: Vec<String> = words.take(MOST_RUNS + 1).collect();
    if words.len() > MOST_RUNS {
        words[MOST_RUNS] = "...".to_owned();
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_follow_one_another_and_differ_by_one_sample_at_most() {
        for (n_samples, count) in [(10, 3), (8, 8), (3, 7), (0, 2), (1, 1), (5557, 64)] {
            let mut next = 0;
            for number in 1..=count {
                let range = Shard::new(number, count).unwrap().range(n_samples);
                let even = n_samples / count as usize;
                assert_eq!(range.start, next);
                assert!((even..=even + 1).contains(&range.len()), "{range:?}");
                next = range.end;
            }
            assert_eq!(next, n_samples);
        }
        let last = Shard::new(u32::MAX, u32::MAX).unwrap();
        assert_eq!(last.range(usize::MAX).end, usize::MAX);
    }

    #[test]
    fn only_what_is_written_is_read() {
        for (text, number, count) in [("1/1", 1, 1), ("2/8", 2, 8), ("8/8", 8, 8)] {
            let shard = text.parse::<Shard>().unwrap();
            assert_eq!((shard.number(), shard.count()), (number, count));
            assert_eq!(shard.to_string(), text);
        }
        for text in [
            "", "x", "2", "/", "2/", "/8", "-1/8", "1/8/8", "1.0/8", "2 of 8",
        ] {
            let error = text.parse::<Shard>().unwrap_err();
            assert_eq!(error, ShardError::Form { text: text.into() });
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
        for (text, expected) in [("5/4", "1 to 4"), ("0/4", "1 to 4"), ("1/0", "1 to 1")] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_name_of_a_file_tells_store_and_shard_and_no_other_name_does() {
        let shard = Shard::new(2, 10).unwrap();
        let path = shard.path("folder/0f.tsim");

        assert_eq!(path, Path::new("folder/0f.tsim.shard-2-of-10"));
        assert_eq!(
            Shard::split_name("0f.tsim.shard-2-of-10"),
            Some(("0f.tsim", shard))
        );
        for name in [
            "0f.tsim",
            "0f.tsim.shard-02-of-10",
            "0f.tsim.shard-2-of-+10",
            "0f.tsim.shard-11-of-10",
            "0f.tsim.shard-2-of-10.partial",
            "0f.tsim.shard-2",
        ] {
            assert_eq!(Shard::split_name(name), None, "{name}");
        }
    }

    #[test]
    fn runs_of_numbers_are_shortened() {
        for (numbers, expected) in [
            (&[3][..], "3"),
            (&[1, 2], "1-2"),
            (&[1, 3, 4, 5, 9], "1, 3-5, 9"),
        ] {
            assert_eq!(list_numbers(numbers), expected);
        }
        let odd: Vec<u32> = (0..1000).map(|i| 2 * i + 1).collect();
        assert!(list_numbers(&odd).ends_with("29, 31, ..."));
    }
}
