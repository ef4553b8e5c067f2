//! Which ridges a closed form is made of, and which blocks of features each of them sees.

use std::ops::Range;

use super::features::{FEW_SAMPLES, Features, TrainingRows};
use crate::closed_form::FeatureRows;

/// Ridges, by the blocks that each sees, and what they answer together.
#[derive(Debug, Default)]
pub(super) struct Views {
    pub(super) ridges: Vec<Vec<usize>>,
    /// Those of the classifier, the leading one first.
    pub(super) all: Vec<usize>,
    /// Those of each modality, where there are several.
    pub(super) modalities: Vec<(&'static str, Vec<usize>)>,
}

impl Views {
    /// Places of ridges that see these blocks, each added unless it is there.
    fn add(&mut self, views: Vec<Vec<usize>>) -> Vec<usize> {
        let place = |view: Vec<usize>| {
            let there = self.ridges.iter().position(|ridge| *ridge == view);
            there.unwrap_or_else(|| {
                self.ridges.push(view);
                self.ridges.len() - 1
            })
        };
        views.into_iter().map(place).collect()
    }
}

/// The blocks of frozen encoders: those of one look after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncoderBlocks {
    /// Blocks before them.
    pub(crate) first: usize,
    pub(crate) n_encoders: usize,
    pub(crate) n_looks: usize,
}

impl EncoderBlocks {
    /// Blocks of some encoders and looks.
    fn of(self, encoders: &[usize], looks: Range<usize>) -> Vec<usize> {
        let block = |look: usize, encoder: usize| self.first + look * self.n_encoders + encoder;
        looks
            .flat_map(|look| encoders.iter().map(move |&encoder| block(look, encoder)))
            .collect()
    }

    /// What the ridges of some encoders see: the leading one values and differences, and one each look.
    pub(crate) fn views(self, encoders: &[usize]) -> Vec<Vec<usize>> {
        let leading = self.of(encoders, 0..self.n_looks.min(2));
        let each = (0..self.n_looks).map(|look| self.of(encoders, look..look + 1));
        // Of a single look, the leading one is it.
        let each = each.filter(|blocks| *blocks != leading);
        std::iter::once(leading.clone()).chain(each).collect()
    }
}

impl Features {
    /// The ridges to fit, `docs/accuracy.md` has what each is worth: one sees all kernels, and each kind of
    /// kernels is seen alone, unless samples are many or rows are computed anew for each ridge; encoders as
    /// [`EncoderBlocks::views`] says.
    pub(super) fn views(&self, rows: &TrainingRows<'_>) -> Views {
        let held = matches!(rows, TrainingRows::Held(_));
        let mut views = Views::default();
        let n_kernels = self.n_kernels();
        if n_kernels > 0 {
            let mut kernels = vec![(0..n_kernels).collect()];
            if n_kernels > 1 && held && rows.n_rows() <= FEW_SAMPLES {
                kernels.extend((0..n_kernels).map(|block| vec![block]));
            }
            views.all = views.add(kernels);
            views.modalities.push(("kernels", views.all.clone()));
        }
        let Some((state, encoders)) = &self.encoders else {
            views.modalities.clear();
            return views;
        };
        let blocks = EncoderBlocks {
            first: n_kernels,
            n_encoders: encoders.widths().len(),
            n_looks: state.looks.len(),
        };
        let together: Vec<usize> = (0..blocks.n_encoders).collect();
        let named = [
            ("vision", state.vision.is_some()),
            ("language", state.language),
        ];
        let named = named.into_iter().filter(|(_, is_there)| *is_there);
        for (encoder, (name, _)) in named.enumerate() {
            let own = views.add(blocks.views(&[encoder]));
            views.modalities.push((name, own));
        }
        let all = views.add(blocks.views(&together));
        views.all.extend(all);
        // Beside kernels they add nothing more by themselves.
        if n_kernels == 0 && blocks.n_looks == 1 {
            let apart = (0..blocks.n_encoders).map(|encoder| blocks.of(&[encoder], 0..1));
            let apart = views.add(apart.collect());
            views.all.extend(apart);
        }
        if views.modalities.len() == 1 {
            views.modalities.clear();
        }
        views
    }
}
