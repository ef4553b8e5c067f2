//! Windows along lines of several channels, and the way back.

use rayon::prelude::*;

/// Windows centered on every `stride`-th step of a line of `[steps, channels]`; what lies outside
/// the line is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// Steps of a line.
    pub(crate) steps: usize,
    /// Numbers of a step.
    pub(crate) channels: usize,
    /// Steps of a window, an odd number.
    pub(crate) size: usize,
    /// Steps from one window to the next.
    pub(crate) stride: usize,
}

impl Windows {
    /// Windows on a line.
    pub(crate) fn count(self) -> usize {
        self.steps.div_ceil(self.stride)
    }

    /// Numbers of a window.
    pub(crate) fn row(self) -> usize {
        self.size * self.channels
    }

    /// Numbers of a line.
    fn line(self) -> usize {
        self.steps * self.channels
    }

    /// For every window, where its part of the line begins in it and in the line, and how long that
    /// part is.
    fn parts(self) -> impl Iterator<Item = [usize; 3]> {
        let half = self.size / 2;
        (0..self.count()).map(move |i| {
            let center = i * self.stride;
            let (first, before) = (center.saturating_sub(half), half.saturating_sub(center));
            let end = (center + half + 1).min(self.steps);
            [before, first, end - first].map(|steps| steps * self.channels)
        })
    }
}

/// Cuts lines `[n, steps, channels]` into windows `[n, count, size * channels]`; `out` is zeros.
pub(crate) fn windows(out: &mut [f32], x: &[f32], windows: Windows) {
    let lines = out.par_chunks_mut(windows.count() * windows.row());
    lines
        .zip(x.par_chunks(windows.line()))
        .for_each(|(out, x)| {
            let rows = out.chunks_exact_mut(windows.row());
            for (row, [place, first, len]) in rows.zip(windows.parts()) {
                row[place..place + len].copy_from_slice(&x[first..first + len]);
            }
        });
}

/// Adds up what windows say of the steps of their lines; `out` is zeros.
pub(crate) fn windows_backward(out: &mut [f32], gradient: &[f32], windows: Windows) {
    let lines = out.par_chunks_mut(windows.line());
    let gradients = gradient.par_chunks(windows.count() * windows.row());
    lines.zip(gradients).for_each(|(out, gradient)| {
        let rows = gradient.chunks_exact(windows.row());
        for (row, [place, first, len]) in rows.zip(windows.parts()) {
            let sums = out[first..first + len].iter_mut();
            sums.zip(&row[place..place + len])
                .for_each(|(sum, x)| *sum += x);
        }
    });
}
