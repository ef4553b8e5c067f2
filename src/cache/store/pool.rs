//! Buffers that threads borrow and give back, so that reading allocates nothing once warm.

use std::sync::{Mutex, PoisonError};

/// Spare values of one kind; as many are made as threads ask for at once.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    spare: Mutex<Vec<T>>,
}

impl<T> Pool<T> {
    pub(crate) fn new() -> Self {
        Self {
            spare: Mutex::new(Vec::new()),
        }
    }

    /// Runs `work` with a spare value, or with a new one if all are in use.
    ///
    /// A value is lost, not reused, when `work` panics.
    pub(crate) fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let spare = self.lock().pop();
        let mut value = spare.unwrap_or_else(make);
        let result = work(&mut value);
        self.lock().push(value);
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<T>> {
        // Nothing panics while the lock is held, so that a poisoned list is still whole.
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_and_used_again() {
        let pool = Pool::new();
        let mut made = 0;

        for _ in 0..5 {
            pool.with(
                || {
                    made += 1;
                    Vec::new()
                },
                |list| list.push(()),
            );
        }

        assert_eq!(made, 1);
        assert_eq!(pool.with(Vec::new, |list| list.len()), 5);
    }
}
