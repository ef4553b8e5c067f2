//! The colors of the page, light and dark: one table, from which the style sheet is written.

use std::fmt::Write;

/// A color as red, green and blue.
pub(super) type Rgb = [u8; 3];

/// Levels of a ramp. Text on the first four is `ink`, on the others `paper`.
pub(super) const LEVELS: usize = 7;
/// First level with text in the color of paper.
pub(super) const DEEP: usize = 4;
/// Colors of lines that can be told apart, also by people who see fewer colors.
pub(super) const SERIES: usize = 8;

/// The colors of one theme.
pub(super) struct Theme {
    paper: Rgb,
    surface: Rgb,
    ink: Rgb,
    muted: Rgb,
    rule: Rgb,
    accent: Rgb,
    good: Rgb,
    warn: Rgb,
    warn_surface: Rgb,
    series: [Rgb; SERIES],
    /// Correct answers.
    hit: [Rgb; LEVELS],
    /// Wrong answers, and heat.
    miss: [Rgb; LEVELS],
}

const fn rgb(hex: u32) -> Rgb {
    let [_, red, green, blue] = hex.to_be_bytes();
    [red, green, blue]
}

const fn ramp<const N: usize>(hex: [u32; N]) -> [Rgb; N] {
    let mut out = [[0; 3]; N];
    let mut i = 0;
    while i < N {
        out[i] = rgb(hex[i]);
        i += 1;
    }
    out
}

const LIGHT: Theme = Theme {
    paper: rgb(0xffffff),
    surface: rgb(0xf5f7f9),
    ink: rgb(0x1b222b),
    muted: rgb(0x566171),
    rule: rgb(0xd9dfe6),
    accent: rgb(0x1a5c9c),
    good: rgb(0x0b6b50),
    warn: rgb(0x934206),
    warn_surface: rgb(0xfdf1e6),
    series: ramp([
        0x0072b2, 0xd55e00, 0x007a5e, 0xb0528a, 0x876a00, 0x3f8ebd, 0x6a51a3, 0x5c6470,
    ]),
    hit: ramp([
        0xe6f0fa, 0xc6ddf2, 0x9fc5e8, 0x6ea8dc, 0x2f76ba, 0x1a5c9c, 0x0c4178,
    ]),
    miss: ramp([
        0xfdeee2, 0xfad3b3, 0xf5b27f, 0xec8f4c, 0xb5520c, 0x94400a, 0x6e2f08,
    ]),
};

const DARK: Theme = Theme {
    paper: rgb(0x11151b),
    surface: rgb(0x1a2029),
    ink: rgb(0xe7ecf2),
    muted: rgb(0xa4b0bf),
    rule: rgb(0x333d4a),
    accent: rgb(0x7db8f0),
    good: rgb(0x5fd3ae),
    warn: rgb(0xffb066),
    warn_surface: rgb(0x2d2114),
    series: ramp([
        0x56b4e9, 0xff9a4d, 0x3ecfa0, 0xe59bc6, 0xe6d04a, 0x8fa8ff, 0xbda4e6, 0xb4bcc6,
    ]),
    hit: ramp([
        0x17293c, 0x1b3a57, 0x1f4c75, 0x245f94, 0x4d9adb, 0x68aeea, 0x86c3f5,
    ]),
    miss: ramp([
        0x36220f, 0x54300f, 0x733f0d, 0x92500f, 0xdf8840, 0xeb9f5c, 0xf5b87f,
    ]),
};

impl Theme {
    /// The variables of a style sheet, by name.
    fn variables(&self) -> String {
        let mut css = String::new();
        let named = [
            ("paper", self.paper),
            ("surface", self.surface),
            ("ink", self.ink),
            ("muted", self.muted),
            ("rule", self.rule),
            ("accent", self.accent),
            ("good", self.good),
            ("warn", self.warn),
            ("warn-surface", self.warn_surface),
        ];
        for (name, color) in named {
            variable(&mut css, name, color);
        }
        let ramps = [("c", &self.series[..]), ("h", &self.hit), ("m", &self.miss)];
        for (letter, colors) in ramps {
            for (i, color) in colors.iter().enumerate() {
                variable(&mut css, &format!("{letter}{i}"), *color);
            }
        }
        css
    }
}

fn variable(css: &mut String, name: &str, [r, g, b]: Rgb) {
    // Writing to a string cannot fail.
    let _ = write!(css, "--{name}:#{r:02x}{g:02x}{b:02x};");
}

/// The variables of both themes and the classes that use them: `cN` is the color of the Nth line,
/// `hN` and `mN` are the levels of hits and misses, `deep` is text on the upper levels.
pub(super) fn css() -> String {
    let mut css = format!(
        ":root{{color-scheme:light dark;{}}}\n\
         @media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        LIGHT.variables(),
        DARK.variables()
    );
    for i in 0..SERIES {
        let _ = write!(css, ".c{i}{{--c:var(--c{i})}}");
    }
    for i in 0..LEVELS {
        let _ = write!(css, ".h{i}{{fill:var(--h{i})}}.m{i}{{fill:var(--m{i})}}");
    }
    css.push_str("text.deep{fill:var(--paper)}\n");
    css
}

/// The level of a share: 0 only for the smallest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the share is clamped, so that the level is below `LEVELS`"
)]
pub(super) fn level(share: f64) -> usize {
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    ((share * LEVELS as f64).ceil() as usize).saturating_sub(1)
}

/// Colors of a line on white paper by how much it mattered there, from least to most. The pictures
/// are white in both themes, as the model sees them.
pub(super) const HEAT: [Rgb; 8] = ramp([
    0xb4bdc9, 0xc6b8ac, 0xe0ac7a, 0xef9645, 0xe0701c, 0xbf4a12, 0x95270f, 0x640d0d,
]);

#[cfg(test)]
mod tests {
    use super::*;

    /// Of text, by the Web Content Accessibility Guidelines.
    const TEXT_CONTRAST: f64 = 4.5;
    /// Of lines and marks.
    const MARK_CONTRAST: f64 = 3.0;

    fn luminance(color: Rgb) -> f64 {
        let [r, g, b] = color.map(|channel| {
            let value = f64::from(channel) / 255.0;
            match value <= 0.04045 {
                true => value / 12.92,
                false => ((value + 0.055) / 1.055).powf(2.4),
            }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        assert!(
            (contrast(rgb(0xffffff), rgb(0)) - 21.0).abs() < 1e-9,
            "white on black"
        );
        assert!(
            (contrast(rgb(0x767676), rgb(0xffffff)) - 4.54).abs() < 0.01,
            "a known gray"
        );
    }

    #[test]
    fn text_has_contrast_on_every_ground() {
        for theme in [LIGHT, DARK] {
            for ground in [theme.paper, theme.surface] {
                for text in [theme.ink, theme.muted, theme.accent, theme.good, theme.warn] {
                    let found = contrast(text, ground);
                    assert!(found >= TEXT_CONTRAST, "{text:x?} on {ground:x?}: {found}");
                }
            }
            for text in [theme.ink, theme.warn] {
                let found = contrast(text, theme.warn_surface);
                assert!(found >= TEXT_CONTRAST, "{text:x?} on a warning: {found}");
            }
            for ramp in [theme.hit, theme.miss] {
                for (level, ground) in ramp.into_iter().enumerate() {
                    let text = if level < DEEP { theme.ink } else { theme.paper };
                    let found = contrast(text, ground);
                    assert!(
                        found >= TEXT_CONTRAST,
                        "level {level}, {ground:x?}: {found}"
                    );
                }
            }
        }
    }

    #[test]
    fn lines_have_contrast_on_paper_and_surface() {
        for theme in [LIGHT, DARK] {
            for (line, ground) in theme
                .series
                .iter()
                .flat_map(|l| [(*l, theme.paper), (*l, theme.surface)])
            {
                let found = contrast(line, ground);
                assert!(found >= MARK_CONTRAST, "{line:x?} on {ground:x?}: {found}");
            }
        }
    }

    #[test]
    fn ramps_are_told_apart_by_lightness_alone() {
        let rises = |ramp: &[Rgb], sign: f64| {
            ramp.windows(2)
                .all(|pair| sign * (luminance(pair[1]) - luminance(pair[0])) > 0.0)
        };
        assert!(rises(&LIGHT.hit, -1.0) && rises(&LIGHT.miss, -1.0), "light");
        assert!(rises(&DARK.hit, 1.0) && rises(&DARK.miss, 1.0), "dark");
        assert!(rises(&HEAT, -1.0), "heat");
    }

    #[test]
    fn levels_cover_all_shares() {
        let levels = [0.0, 0.1, 0.5, 1.0, 7.0, f64::NAN].map(level);
        assert_eq!(levels, [0, 0, 3, 6, 6, 0]);
    }
}
