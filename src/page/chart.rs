//! Charts with two axes: lines, dots and bars as SVG.

use super::markup::{Element, el};
use super::number::{decimal, percent};

/// Size of a chart. It is small, so that its lettering stays readable on a telephone.
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 294.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 46.0;
/// Points of a line, at most; a line of more is thinned.
const MAX_POINTS: usize = 400;
/// A quantity whose largest value is that many times its smallest has a logarithmic axis.
const WIDE: f64 = 40.0;

/// An axis of a chart.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    label: &'static str,
    low: f64,
    high: f64,
    scale: Scale,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Percent,
    Linear,
    Whole,
    Log,
}

impl Axis {
    /// From nothing to everything.
    pub(super) fn share(label: &'static str) -> Self {
        Self {
            label,
            low: 0.0,
            high: 1.0,
            scale: Scale::Percent,
        }
    }

    /// Shares from the tenth below the smallest to everything.
    pub(super) fn upper_share(label: &'static str, values: &[f64]) -> Self {
        let least = values.iter().copied().fold(1.0, f64::min);
        let low = ((least * 10.0).floor() / 10.0).clamp(0.0, 0.9);
        Self {
            low,
            ..Self::share(label)
        }
    }

    /// Positive values from 0, or on a logarithmic scale if their range is wide.
    pub(super) fn positive(label: &'static str, values: &[f64]) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let high = finite().fold(0.0, f64::max);
        let low = finite().fold(f64::INFINITY, f64::min);
        if low > 0.0 && high / low > WIDE {
            return Self {
                label,
                low: low / 1.2,
                high: high * 1.2,
                scale: Scale::Log,
            };
        }
        let high = if high > 0.0 { high } else { 1.0 };
        let step = nice_step(high / 4.0);
        Self {
            label,
            low: 0.0,
            high: (high / step).ceil() * step,
            scale: Scale::Linear,
        }
    }

    /// Whole numbers from `low` to `high`.
    pub(super) fn whole(label: &'static str, low: usize, high: usize) -> Self {
        Self {
            label,
            low: low as f64,
            high: high.max(low + 1) as f64,
            scale: Scale::Whole,
        }
    }

    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
            _ => (value - self.low) / (self.high - self.low),
        };
        if place.is_finite() {
            place.clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    fn ticks(&self) -> Vec<f64> {
        if self.scale == Scale::Log {
            let fine = self.powers(&[1.0, 2.0, 5.0]);
            return if fine.len() <= 7 {
                fine
            } else {
                self.powers(&[1.0])
            };
        }
        let step = nice_step((self.high - self.low) / 5.0);
        let step = if self.scale == Scale::Whole {
            step.max(1.0)
        } else {
            step
        };
        let first = (self.low / step - 1e-9).ceil();
        let ticks = (0..=20).map(|i| (first + f64::from(i)) * step);
        ticks
            .take_while(|tick| *tick <= self.high + 1e-9 * step)
            .collect()
    }

    /// Powers of ten on the axis, times some factors.
    fn powers(&self, factors: &[f64]) -> Vec<f64> {
        let [first, last] = [self.low, self.high].map(|end| end.log10().floor());
        let exponents = (0..=40).map(|i| first + f64::from(i));
        let exponents = exponents.take_while(|exponent| *exponent <= last);
        let all = exponents.flat_map(|e| factors.iter().map(move |f| f * 10_f64.powf(e)));
        all.filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }

    fn tick_label(&self, tick: f64) -> String {
        match self.scale {
            Scale::Percent => percent(tick).replace(".0%", "%"),
            Scale::Whole => format!("{tick:.0}"),
            Scale::Log if tick >= 0.001 => format!("{}", (tick * 1e6).round() / 1e6),
            Scale::Log => decimal(tick),
            Scale::Linear => {
                let step = nice_step((self.high - self.low) / 5.0);
                let places = (0..8).take_while(|places| step * 10_f64.powi(*places) < 0.999);
                format!("{tick:.places$}", places = places.count())
            }
        }
    }
}

/// The largest of 1, 2, 5 times a power of ten that is at most a quarter above `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|f| f * power * 1.25 >= step);
    factor.unwrap_or(10.0) * power
}

/// How a line is drawn.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// Its color, `0..SERIES`; more begin again.
    pub(super) color: usize,
    /// Whether it is broken.
    pub(super) dashed: bool,
}

impl Style {
    fn class(&self) -> String {
        let dashed = if self.dashed { " dashed" } else { "" };
        format!("c{}{dashed}", self.color % super::theme::SERIES)
    }
}

/// A chart, to which marks are added.
#[derive(Debug)]
pub(super) struct Chart {
    x: Axis,
    y: Axis,
    marks: Vec<Element>,
    legend: Vec<Element>,
}

impl Chart {
    /// A chart without marks.
    pub(super) fn new(x: Axis, y: Axis) -> Self {
        Self {
            x,
            y,
            marks: Vec::new(),
            legend: Vec::new(),
        }
    }

    fn pixel(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let width = WIDTH - LEFT - RIGHT;
        let height = HEIGHT - TOP - BOTTOM;
        let (x, y) = (self.x.place(x), self.y.place(y));
        (LEFT + x * width, TOP + (1.0 - y) * height)
    }

    /// Adds a line through points; it is broken where a value is not finite.
    pub(super) fn line(&mut self, points: &[(f64, f64)], style: &Style) {
        let stride = points.len().div_ceil(MAX_POINTS).max(1);
        let last = points.len().saturating_sub(1);
        let mut path = String::new();
        let mut broken = true;
        for (i, point) in points.iter().enumerate() {
            if i % stride != 0 && i != last {
                continue;
            }
            if !(point.0.is_finite() && point.1.is_finite()) {
                broken = true;
                continue;
            }
            let (x, y) = self.pixel(*point);
            let command = if broken { 'M' } else { 'L' };
            path.push_str(&format!("{command}{x:.1} {y:.1}"));
            broken = false;
        }
        let class = format!("line {}", style.class());
        self.marks.push(el("path").class(class).attr("d", path));
    }

    /// Adds a dot that says what it is.
    pub(super) fn dot(&mut self, point: (f64, f64), color: usize, title: &str) {
        let (x, y) = self.pixel(point);
        let dot = el("circle")
            .class(format!(
                "dot c{color}",
                color = color % super::theme::SERIES
            ))
            .attrs([("cx", x), ("cy", y)].map(rounded))
            .attr("r", 4.5);
        self.marks.push(dot.child(el("title").text(title)));
    }

    /// Adds an upright line from one value to another.
    pub(super) fn whisker(&mut self, x: f64, [low, high]: [f64; 2]) {
        let ((x, bottom), (_, top)) = (self.pixel((x, low)), self.pixel((x, high)));
        let ends = [("x1", x), ("x2", x), ("y1", bottom), ("y2", top)];
        self.marks
            .push(el("line").class("reach").attrs(ends.map(rounded)));
    }

    /// Adds a bar that stands on the x axis, as high as a share of the chart.
    pub(super) fn bar(&mut self, [from, to]: [f64; 2], share: f64, title: &str) {
        let ((left, bottom), (right, _)) =
            (self.pixel((from, self.y.low)), self.pixel((to, self.y.low)));
        let height = share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM);
        let size = [
            ("x", left + 0.5),
            ("y", bottom - height),
            ("width", right - left - 1.0),
            ("height", height),
        ];
        let rect = el("rect").class("column").attrs(size.map(rounded));
        self.marks.push(rect.child(el("title").text(title)));
    }

    /// Says in the legend what a line is.
    pub(super) fn explain(&mut self, text: &str, style: &Style) {
        let class = format!("line {}", style.class());
        let sample = el("path").class(class).attr("d", "M1 6H27");
        self.key(sample, text);
    }

    /// Says in the legend what the bars are.
    pub(super) fn explain_bars(&mut self, text: &str) {
        let size = [("x", 8), ("y", 0), ("width", 12), ("height", 12)];
        self.key(el("rect").class("column").attrs(size), text);
    }

    /// Says in the legend what the dots are.
    pub(super) fn explain_dots(&mut self, text: &str, color: usize) {
        let dot = el("circle").class(format!("dot c{color}"));
        self.key(dot.attrs([("cx", "14"), ("cy", "6"), ("r", "4.5")]), text);
    }

    fn key(&mut self, sample: Element, text: &str) {
        let svg = el("svg")
            .attr("viewBox", "0 0 28 12")
            .attrs([("width", 28), ("height", 12)])
            .attr("aria-hidden", "true")
            .child(sample);
        self.legend.push(el("li").child(svg).text(text));
    }

    /// The chart as a figure with its title and legend.
    pub(super) fn figure(self, title: &str, description: &str) -> Element {
        let svg = el("svg")
            .attr("viewBox", format!("0 0 {WIDTH} {HEIGHT}"))
            .attr("role", "img")
            .child(el("title").text(title))
            .child(el("desc").text(description))
            .children(self.grid())
            .children(self.marks);
        let figure = el("figure")
            .class("chart")
            .child(el("figcaption").text(title))
            .child(svg);
        match self.legend.is_empty() {
            true => figure,
            false => figure.child(el("ul").class("legend").children(self.legend)),
        }
    }

    fn grid(&self) -> Vec<Element> {
        let text = |class: &str, (x, y): (f64, f64), text: &str| {
            let place = [("x", x), ("y", y)].map(rounded);
            el("text").class(class).attrs(place).text(text)
        };
        let rule = |from: (f64, f64), to: (f64, f64)| {
            let ends = [("x1", from.0), ("y1", from.1), ("x2", to.0), ("y2", to.1)];
            el("line").class("rule").attrs(ends.map(rounded))
        };
        let mut grid = Vec::new();
        for tick in self.y.ticks() {
            let (_, y) = self.pixel((self.x.low, tick));
            grid.push(rule((LEFT, y), (WIDTH - RIGHT, y)));
            grid.push(text(
                "tick end",
                (LEFT - 7.0, y + 4.0),
                &self.y.tick_label(tick),
            ));
        }
        for tick in self.x.ticks() {
            let (x, y) = self.pixel((tick, self.y.low));
            grid.push(rule((x, y), (x, y + 4.0)));
            grid.push(text("tick middle", (x, y + 20.0), &self.x.tick_label(tick)));
        }
        let floor = HEIGHT - BOTTOM;
        grid.push(rule((LEFT, floor), (WIDTH - RIGHT, floor)));
        grid.push(text("label", (4.0, 13.0), self.y.label));
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        grid.push(text("label middle", (middle, HEIGHT - 6.0), self.x.label));
        grid
    }
}

fn rounded((name, value): (&'static str, f64)) -> (&'static str, String) {
    (name, format!("{value:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks()
            .into_iter()
            .map(|tick| axis.tick_label(tick))
            .collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(
            labels(&Axis::share("")),
            ["0%", "20%", "40%", "60%", "80%", "100%"]
        );
        assert_eq!(
            labels(&Axis::upper_share("", &[0.93])),
            ["90%", "92%", "94%", "96%", "98%", "100%"]
        );
        assert_eq!(labels(&Axis::whole("", 1, 40)), ["10", "20", "30", "40"]);
        assert_eq!(
            labels(&Axis::positive("", &[0.3, 1.9])),
            ["0.0", "0.5", "1.0", "1.5", "2.0"]
        );
    }

    #[test]
    fn a_wide_range_has_a_logarithmic_axis() {
        let axis = Axis::positive("", &[0.002, 2.0]);
        assert_eq!(labels(&axis), ["0.01", "0.1", "1"]);
        assert!((axis.place(0.0632) - 0.5).abs() < 0.01, "half way");
    }

    #[test]
    fn values_that_are_no_numbers_break_a_line() {
        let mut chart = Chart::new(Axis::whole("", 0, 3), Axis::share(""));
        let points = [(0.0, 0.5), (1.0, f64::NAN), (2.0, 0.5), (3.0, 1.0)];
        chart.line(
            &points,
            &Style {
                color: 0,
                dashed: false,
            },
        );
        let path = chart.marks[0].to_string();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert!(!path.contains("NaN"), "{path}");
    }

    #[test]
    fn long_lines_are_thinned_and_keep_their_ends() {
        let mut chart = Chart::new(Axis::whole("", 0, 9999), Axis::share(""));
        let points: Vec<(f64, f64)> = (0..10_000).map(|x| (f64::from(x), 0.5)).collect();
        chart.line(
            &points,
            &Style {
                color: 9,
                dashed: true,
            },
        );
        let path = chart.marks[0].to_string();
        assert!(
            path.matches('L').count() <= MAX_POINTS,
            "{} points",
            path.matches('L').count()
        );
        assert!(
            path.contains(&format!("L{:.1}", WIDTH - RIGHT)),
            "the last point"
        );
    }

    #[test]
    fn no_values_still_make_an_axis() {
        let axes = [
            Axis::positive("", &[]),
            Axis::positive("", &[f64::NAN, 0.0]),
            Axis::upper_share("", &[]),
        ];
        assert!(
            axes.iter()
                .all(|axis| axis.high > axis.low && !axis.ticks().is_empty()),
            "{axes:?}"
        );
    }
}
