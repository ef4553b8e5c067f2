//! The flags about augmentation: views of the series, colours of their pictures.

use timesclip::data::augment::AugmentConfig;
use timesclip::raster::ColorJitter;
use timesclip::report::Augmentation;

/// The flags about augmentation. Validation and test never see any.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Augmentation (training samples only)")]
pub(crate) struct ViewArgs {
    /// Augmented views of every training sample, one of which each epoch takes in turn; their
    /// pictures and features are cached like those of the samples themselves
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) views: usize,
    /// Noise of views, as a multiple of each variate's deviation
    #[arg(long, value_name = "X", requires = "views", default_value_t = AugmentConfig::default().jitter)]
    view_jitter: f64,
    /// Change of amplitude of views: factors up to 1 + X
    #[arg(long, value_name = "X", requires = "views", default_value_t = AugmentConfig::default().scale)]
    view_scale: f64,
    /// Change of level of views, as a multiple of each variate's deviation
    #[arg(long, value_name = "X", requires = "views", default_value_t = AugmentConfig::default().shift)]
    view_shift: f64,
    /// How unevenly time runs in views, 0 to 1
    #[arg(long, value_name = "X", requires = "views", default_value_t = AugmentConfig::default().warp)]
    view_warp: f64,
    /// Share of the steps that views may lack at their ends
    #[arg(long, value_name = "X", requires = "views", default_value_t = AugmentConfig::default().crop)]
    view_crop: f64,
    /// Probability that a variate is missing in a view
    #[arg(long, value_name = "X", requires = "views", default_value_t = AugmentConfig::default().variate_drop)]
    view_drop: f64,
    /// Longest block of steps missing in a variate of a view, as a share of all
    #[arg(long, value_name = "X", requires = "views", default_value_t = AugmentConfig::default().missing_block)]
    view_gap: f64,
    /// How much brightness, contrast and ink of the pictures vary from step to step [default: 0]
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    color_jitter: f64,
}

impl ViewArgs {
    /// The views, if there are any.
    pub(crate) fn augmentation(&self) -> Option<Augmentation> {
        let transforms = AugmentConfig {
            jitter: self.view_jitter,
            scale: self.view_scale,
            shift: self.view_shift,
            warp: self.view_warp,
            crop: self.view_crop,
            variate_drop: self.view_drop,
            missing_block: self.view_gap,
        };
        let views = self.views;
        (views > 0).then_some(Augmentation { views, transforms })
    }

    pub(crate) fn color_jitter(&self) -> Option<ColorJitter> {
        let strength = self.color_jitter;
        (strength != 0.0).then_some(ColorJitter {
            brightness: strength,
            contrast: strength,
            ink: strength,
        })
    }
}
