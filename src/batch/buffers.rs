//! Memory for the masks of batches, used again and again.
//!
//! A batch of pictures is tens of megabytes. Pages that come fresh from the system are zeroed and
//! mapped one by one where they are first touched, and that takes several times as long as decoding
//! the pictures into pages that were there before.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers that are kept for the next batch at most: as many batches as are under way, two that wait,
/// one that is gathered and one that is computed on.
const SPARE: usize = 4;

/// Buffers without work. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl fmt::Debug for Buffers {
    // Megabytes, and of batches that are no more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

impl Buffers {
    /// Bytes that `fill` writes, all of them: it finds there what an earlier batch has left.
    ///
    /// # Errors
    /// What `fill` returns.
    pub(super) fn filled<E>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut lent = Lent {
            buffer: spare.unwrap_or_default(),
            home: self.clone(),
        };
        if lent.buffer.capacity() < len {
            // Zeroed by the system as it is touched; growing would copy and zero here and now.
            lent.buffer = vec![0; len];
        }
        lent.buffer.resize(len, 0);
        fill(&mut lent.buffer)?;
        Ok(Bytes::from_owner(lent))
    }
}

/// A buffer that goes home when nobody reads it any more.
struct Lent {
    buffer: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Buffers(home) = &self.home;
        let mut spare = home.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(buffers: &Buffers, len: usize, level: u8) -> Bytes {
        let fill = |bytes: &mut [u8]| {
            bytes.fill(level);
            Ok::<_, ()>(())
        };
        buffers.filled(len, fill).expect("a level")
    }

    #[test]
    fn a_buffer_is_lent_again_only_when_all_its_readers_are_gone() {
        let buffers = Buffers::default();
        let first = filled(&buffers, 100, 1);
        let (place, part) = (first.as_ptr(), first.slice(90..));
        drop(first);
        assert_ne!(
            filled(&buffers, 100, 2).as_ptr(),
            place,
            "its end is still read"
        );
        assert_eq!(part[..], [1; 10]);
        drop(part);
        // The last one home is the first to go.
        let shorter = filled(&buffers, 60, 3);
        assert_eq!((shorter.as_ptr(), &shorter[..]), (place, &[3; 60][..]));
        let longer = filled(&buffers, 200, 4);
        assert_eq!(longer[..], [4; 200]);
    }

    #[test]
    fn no_more_are_kept_than_are_under_way_and_failures_cost_none() {
        let buffers = Buffers::default();
        let spare = || buffers.0.lock().expect("no panic").len();
        let all: Vec<Bytes> = (0..9).map(|_| filled(&buffers, 10, 0)).collect();
        drop(all);
        assert_eq!(spare(), SPARE);
        assert_eq!(buffers.filled(10, |_| Err("unreadable")), Err("unreadable"));
        assert_eq!(spare(), SPARE);
    }
}
