//! Windows along lines and on planes of several channels, and the way back.

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

/// Square windows on planes of `[rows.steps, columns.steps, channels]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaneWindows {
    /// Down a plane; of one channel.
    pub(crate) rows: Windows,
    /// Along a row.
    pub(crate) columns: Windows,
}

impl PlaneWindows {
    /// Windows on a plane.
    pub(crate) fn count(self) -> usize {
        self.rows.count() * self.columns.count()
    }

    /// Numbers of a window.
    pub(crate) fn row(self) -> usize {
        self.rows.size * self.columns.row()
    }

    /// Numbers of a plane.
    fn plane(self) -> usize {
        self.rows.steps * self.columns.line()
    }

    /// For every stretch of numbers that a window shares with a row of its plane, where it begins
    /// among all windows and in the plane, and how long it is.
    fn stretches(self) -> impl Iterator<Item = [usize; 3]> {
        let Self { rows, columns } = self;
        rows.parts()
            .enumerate()
            .flat_map(move |(i, [above, top, height])| {
                columns
                    .parts()
                    .enumerate()
                    .flat_map(move |(j, [left, first, len])| {
                        let window = (i * columns.count() + j) * self.row();
                        (0..height).map(move |row| {
                            let place = window + (above + row) * columns.row() + left;
                            [place, (top + row) * columns.line() + first, len]
                        })
                    })
            })
    }
}

/// Cuts planes into windows `[n, count, size * size * channels]`; `out` is zeros.
pub(crate) fn plane_windows(out: &mut [f32], x: &[f32], windows: PlaneWindows) {
    let planes = out.par_chunks_mut(windows.count() * windows.row());
    let planes = planes.zip(x.par_chunks(windows.plane()));
    planes.for_each(|(out, x)| {
        for [place, first, len] in windows.stretches() {
            out[place..place + len].copy_from_slice(&x[first..first + len]);
        }
    });
}

/// Adds up what windows say of the cells of their planes; `out` is zeros.
pub(crate) fn plane_windows_backward(out: &mut [f32], gradient: &[f32], windows: PlaneWindows) {
    let planes = out.par_chunks_mut(windows.plane());
    let gradients = gradient.par_chunks(windows.count() * windows.row());
    planes.zip(gradients).for_each(|(out, gradient)| {
        for [place, first, len] in windows.stretches() {
            let sums = out[first..first + len].iter_mut();
            sums.zip(&gradient[place..place + len])
                .for_each(|(sum, x)| *sum += x);
        }
    });
}
