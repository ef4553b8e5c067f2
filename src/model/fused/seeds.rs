//! Seeds of dropout: a stream of each thread's own, so that what trains at the same time draws the same
//! numbers as one after the other.

use std::cell::RefCell;
use std::marker::PhantomData;

#[cfg(feature = "cpu")]
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

thread_local! {
    static STREAM: RefCell<Option<ChaCha8Rng>> = const { RefCell::new(None) };
}

/// While it lives, dropout on this thread draws from a stream of its own in the place of the backend's
/// generator, which all threads share.
#[derive(Debug)]
pub(crate) struct DropoutStream {
    before: Option<ChaCha8Rng>,
    of_this_thread: PhantomData<*const ()>,
}

impl DropoutStream {
    pub(crate) fn of_seed(seed: u64) -> Self {
        Self {
            before: STREAM.replace(Some(ChaCha8Rng::seed_from_u64(seed))),
            of_this_thread: PhantomData,
        }
    }
}

impl Drop for DropoutStream {
    fn drop(&mut self) {
        STREAM.set(self.before.take());
    }
}

/// The next seed of this thread's stream, if it has one.
#[cfg(feature = "cpu")]
pub(super) fn next() -> Option<u64> {
    STREAM.with_borrow_mut(|stream| stream.as_mut().map(Rng::next_u64))
}
