//! Drawing into warm buffers takes no memory.
//!
//! `allocation-counter` counts the allocations of one thread, so that other tests do not disturb.

use allocation_counter::measure;
use timesclip::data::Series;
use timesclip::raster::{PlotStyle, Rasterizer};

fn series(n_steps: usize, seed: usize) -> Series {
    let values = (0..n_steps).map(|i| match (i * i * 37 + i * seed) % 101 {
        0 => f32::NAN,
        value => value as f32,
    });
    Series::new(values.collect(), n_steps, 1).expect("finite values")
}

#[test]
fn a_warm_scratch_draws_without_allocating() {
    let rasterizer = Rasterizer::new(PlotStyle::default()).expect("a sound style");
    let mut mask = vec![0; 224 * 224];
    for n_steps in [12, 37, 100, 1000] {
        let all: Vec<Series> = (0..20).map(|seed| series(n_steps, seed)).collect();
        let mut scratch = rasterizer.scratch();
        let mut draw_all = || {
            for series in &all {
                rasterizer.draw(&mut scratch, series, 0, &mut mask);
            }
        };
        let cold = measure(&mut draw_all);
        let warm = measure(&mut draw_all);

        assert_eq!(
            warm.count_total, 0,
            "allocations for {n_steps} steps once warm"
        );
        assert!(cold.count_total > 0, "the counter counts nothing");
    }
}

#[test]
fn a_scratch_warmed_by_a_long_series_is_warm_for_shorter_ones() {
    let rasterizer = Rasterizer::new(PlotStyle::default()).expect("a sound style");
    let mut scratch = rasterizer.scratch();
    let mut mask = vec![0; 224 * 224];
    rasterizer.draw(&mut scratch, &series(400, 1), 0, &mut mask);

    for n_steps in [2, 37, 200] {
        let series = series(n_steps, 2);
        let drawn = measure(|| rasterizer.draw(&mut scratch, &series, 0, &mut mask));

        assert_eq!(drawn.count_total, 0, "allocations for {n_steps} steps");
    }
}
