//! Trying a device with the smallest of jobs, since drivers panic where they could say no.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{BackendError, BackendJob, BackendKind, start};

/// Doubles a number on a device.
pub(super) fn double_on(kind: BackendKind, index: usize) -> Result<(), BackendError> {
    let unusable = |said| BackendError::Unusable { kind, index, said };
    let (doubled, heard) = quietly(|| start(kind, &[index], Double));
    match doubled {
        Some(doubled) => judge(&doubled?, &heard).map_err(unusable),
        None => Err(unusable(heard)),
    }
}

/// Refuses another number than two, with what was heard of the reason: a device thread that panics may
/// leave its caller with a result, of any value.
fn judge(doubled: &[f32], heard: &str) -> Result<(), String> {
    match (doubled == [2.0], heard) {
        (true, _) => Ok(()),
        (false, "") => Err(format!("twice one is {doubled:?} there")),
        (false, heard) => Err(format!("twice one is {doubled:?} there ({heard})")),
    }
}

struct Double;

impl BackendJob for Double {
    type Output = Vec<f32>;

    fn run<B: Backend>(self, devices: &[B::Device]) -> Vec<f32> {
        let one = Tensor::<B, 1>::ones([1], &devices[0]);
        (one.clone() + one).into_data().iter::<f32>().collect()
    }
}

/// What `work` gives unless it panics, and what was said in panic while it ran, in one line.
///
/// A backend computes in a thread of its own and tells the caller at most that this thread is gone.
/// So the hook, which hears all threads, takes the messages down instead of printing them; the
/// caller's own is quoted if there is no other.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> (Option<T>, String) {
    // The hook is the process's: one at a time may borrow it.
    static HOOK: Mutex<()> = Mutex::new(());
    let _turn = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let heard = Arc::new(Mutex::new([String::new(), String::new()]));
    let caller = thread::current().id();
    let hook = take_hook();
    set_hook(Box::new({
        let heard = Arc::clone(&heard);
        move |panic| {
            let message = panic.payload_as_str().unwrap_or("it panicked");
            let words = message.split_whitespace();
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            let line = &mut heard[usize::from(thread::current().id() == caller)];
            words.for_each(|word| line.extend([" ", word]));
        }
    }));
    let result = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let said = heard.iter().find(|line| !line.is_empty());
    let said = said.map_or_else(String::new, |line| line.trim_start().to_owned());
    (result.ok(), said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_succeeds_gives_what_it_gives() {
        assert_eq!(quietly(|| 2 + 2).0, Some(4));
    }

    // Other tests may panic on purpose meanwhile, and are heard too.
    #[test]
    fn the_thread_that_panicked_first_is_quoted_and_not_its_caller() {
        let (result, said) = quietly(|| {
            let device = thread::spawn(|| panic!("no driver\n    at {}", "all"));
            device.join().expect("the device's thread");
        });
        assert_eq!(result, None);
        assert!(said.contains("no driver at all"), "{said}");
        assert!(!said.contains("the device's thread"), "{said}");
    }

    #[test]
    fn a_caller_that_panicked_alone_is_quoted() {
        let (_, said) = quietly(|| panic!("out of paper"));
        assert!(!said.is_empty());
    }

    #[test]
    fn a_panic_that_leaves_its_caller_with_a_result_is_heard() {
        let (result, said) = quietly(|| {
            let device = thread::spawn(|| panic!("no compiler"));
            device.join().map_or(vec![0.0], |()| vec![2.0])
        });
        let error = judge(&result.unwrap(), &said).unwrap_err();
        assert!(error.contains("twice one is [0.0]"), "{error}");
        assert!(error.contains("no compiler"), "{error}");
        assert_eq!(judge(&[2.0], &said), Ok(()));
    }

    #[cfg(feature = "cpu")]
    #[test]
    fn the_trial_is_passed_by_what_computes() {
        assert_eq!(double_on(BackendKind::Cpu, 0), Ok(()));
    }
}
