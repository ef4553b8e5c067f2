//! Made-up runs, about as real ones look.

use super::super::*;

/// Uniform numbers in 0..1, by the multiplier of Knuth's MMIX.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f64) as usize
    }
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Counts of a classifier that is right with some probability, and else often one class off.
fn confusion(n: usize, each: usize, accuracy: f64, random: &mut Random) -> Vec<Vec<u64>> {
    let mut counts = vec![vec![0; n]; n];
    for (class, row) in counts.iter_mut().enumerate() {
        let own = accuracy - (class % 5) as f64 * 0.02;
        for _ in 0..each + class % 7 {
            let predicted = match random.next() {
                draw if draw < own => class,
                draw if draw < (1.0 + own) / 2.0 => (class + 1) % n,
                _ => random.below(n),
            };
            row[predicted] += 1;
        }
    }
    counts
}

const INKS: [[u8; 3]; 6] = [
    [0x1f, 0x77, 0xb4],
    [0xff, 0x7f, 0x0e],
    [0x2c, 0xa0, 0x2c],
    [0xd6, 0x27, 0x28],
    [0x94, 0x67, 0xbd],
    [0x8c, 0x56, 0x4b],
];

/// A line plot of some smooth series, two pixels wide.
fn plot(variate: usize, importance: bool, random: &mut Random) -> Plot {
    let side = 112;
    let [a, b, c] = [0; 3].map(|_| random.next());
    let at = |x: f64| {
        0.5 + 0.28 * (6.0 * x * (0.5 + a) + 9.0 * b).sin() + 0.16 * (21.0 * x * c + a).sin()
    };
    let mut mask = vec![0; side * side];
    for column in 4..side - 4 {
        let x = column as f64 / side as f64;
        let slope = (at(x + 0.01) - at(x - 0.01)) / 0.02;
        let reach = (1.0 + slope * slope).sqrt();
        for row in 0..side {
            let distance = (row as f64 - at(x) * side as f64).abs() / reach;
            mask[row * side + column] = ((1.5 - distance).clamp(0.0, 1.0) * 255.0) as u8;
        }
    }
    let middle = random.next();
    let windows = (0..18).map(|i| {
        let start = 0.04 + 0.92 * i as f32 / 18.0;
        let off = f64::from(start) - middle;
        HeatWindow {
            start,
            end: start + 0.92 / 18.0,
            value: ((-off * off * 30.0).exp() * a) as f32,
        }
    });
    Plot {
        variate: format!("coefficient {}", variate + 1),
        ink: INKS[variate % INKS.len()],
        side_px: side,
        mask,
        importance: if importance {
            windows.collect()
        } else {
            Vec::new()
        },
    }
}

fn example(
    i: usize,
    (target, predicted): (usize, usize),
    n_variates: usize,
    n_classes: usize,
) -> Example {
    let mut random = Random(77 + i as u64);
    let confidence = 0.93 - 0.06 * i as f32;
    let mut probabilities = vec![(predicted, confidence)];
    let mut left = 1.0 - confidence;
    for class in [
        target,
        (predicted + 1) % n_classes,
        (predicted + 2) % n_classes,
    ] {
        if probabilities.iter().all(|(known, _)| *known != class) {
            probabilities.push((class, 0.6 * left));
            left *= 0.4;
        }
    }
    Example {
        id: format!("sample {}", 17 * i + 4),
        target: Some(target),
        predicted,
        probabilities,
        plots: (0..n_variates)
            .map(|v| plot(v, n_variates != 100, &mut random))
            .collect(),
    }
}

fn learning(folds: usize, epochs: usize, random: &mut Random) -> Vec<LearningCurve> {
    let curve = |fold: usize| {
        let speed = 0.09 + 0.05 * random.next();
        let epochs: Vec<EpochScores> = (1..=epochs)
            .map(|epoch| {
                let left = (-speed * epoch as f64).exp();
                let noise = 0.03 * random.next();
                EpochScores {
                    epoch,
                    train_loss: Some(2.1 * left + 0.012),
                    train_accuracy: Some(1.0 - 0.8 * left),
                    valid_loss: Some(2.0 * left + 0.06 + noise + 0.0006 * epoch as f64),
                    valid_accuracy: Some((0.985 - 0.75 * left - 0.4 * noise).max(0.1)),
                }
            })
            .collect();
        let loss = |epoch: &&EpochScores| (1e6 * epoch.valid_loss.unwrap()) as u64;
        LearningCurve {
            name: format!("fold {}", fold + 1),
            best_epoch: epochs.iter().min_by_key(loss).map(|epoch| epoch.epoch),
            epochs,
        }
    };
    (0..folds).map(curve).collect()
}

fn calibration(total: u64) -> Vec<CalibrationBin> {
    let bins = [
        (0.34, 0.4, 0.02),
        (0.45, 0.5, 0.03),
        (0.56, 0.52, 0.04),
        (0.66, 0.7, 0.05),
        (0.75, 0.71, 0.08),
        (0.86, 0.9, 0.13),
        (0.98, 0.99, 0.65),
    ];
    bins.map(|(confidence, accuracy, share)| {
        let samples = ((total as f64 * share) as u64).max(1);
        CalibrationBin {
            confidence,
            correct: (samples as f64 * accuracy).round() as u64,
            samples,
        }
    })
    .into()
}

fn evaluation(confusion: Vec<Vec<u64>>, kernels: f64) -> Evaluation {
    let total = confusion.iter().flatten().sum();
    Evaluation {
        split: "test".to_owned(),
        confusion,
        balanced_accuracy: Some(0.957),
        macro_f1: Some(0.956),
        log_loss: Some(0.1431),
        brier: Some(0.0712),
        ece: Some(0.021),
        calibration: calibration(total),
        baselines: vec![Baseline {
            name: "kernel baseline".to_owned(),
            accuracy: kernels,
        }],
        ..Evaluation::default()
    }
}

fn modalities() -> Vec<Modality> {
    let all = [
        ("kernels", 0.62, 0.981, 0.0611),
        ("language", 0.27, 0.962, 0.124),
        ("vision", 0.11, 0.935, 0.241),
        ("pool of all", f64::NAN, 0.989, 0.041),
    ];
    all.map(|(name, weight, accuracy, log_loss)| Modality {
        name: name.to_owned(),
        weight: Some(weight).filter(|weight| weight.is_finite()),
        accuracy: Some(accuracy),
        log_loss: Some(log_loss),
        test_accuracy: None,
    })
    .into()
}

fn importance(n_classes: usize, n_variates: usize, random: &mut Random) -> Importance {
    let class = |class: usize| {
        let middle = random.next();
        let strong = random.below(n_variates);
        let row = |variate: usize| {
            let windows = (0..20).map(|window| {
                let off = f64::from(window) / 20.0 - middle;
                let own = if variate == strong { 1.0 } else { 0.35 };
                (own * (-off * off * 25.0).exp() + 0.08 * random.next()) as f32
            });
            windows.collect()
        };
        ClassImportance {
            class,
            windows: (0..n_variates).map(row).collect(),
        }
    };
    Importance {
        method: "Each window of each variate was replaced by its interpolation; its importance is \
                 the probability that the predicted class lost."
            .to_owned(),
        classes: (0..n_classes).map(class).collect(),
        variate_weights: (0..n_variates)
            .map(|_| random.next() / n_variates as f64)
            .collect(),
        faithfulness: vec![
            Fact::new("Deletion area (random order)", "0.31 (0.62)"),
            Fact::new("Insertion area (random order)", "0.84 (0.66)"),
        ],
    }
}

fn data(n_classes: usize, n_variates: usize, steps: [usize; 3]) -> DataSummary {
    let split = |name: &str, each: u64, missing: f64| SplitSummary {
        name: name.to_owned(),
        class_counts: (0..n_classes as u64)
            .map(|class| each + class % 7)
            .collect(),
        n_steps: Some(steps),
        missing: Some(missing),
    };
    let finding = |warning: bool, text: &str| Finding {
        warning,
        text: text.to_owned(),
    };
    DataSummary {
        variate_names: (0..n_variates)
            .map(|v| format!("coefficient {}", v + 1))
            .collect(),
        splits: vec![split("training", 30, 0.0), split("test", 38, 0.013)],
        findings: vec![
            finding(false, "No variate looks like an identifier."),
            finding(
                true,
                "2 series are in both training and test data: 17 and 241. Scores may be too good.",
            ),
            finding(false, "No group is on both sides of a split."),
        ],
    }
}

fn early() -> EarlyRecognition {
    let point = |i: usize| {
        let left = (-0.32 * i as f64).exp();
        EarlyPoint {
            n_steps: 2 * i,
            accuracy: 0.98 - 0.8 * left,
            macro_f1: Some(0.975 - 0.84 * left),
            log_loss: Some(0.05 + 2.1 * left),
        }
    };
    EarlyRecognition {
        points: (1..15).map(point).collect(),
        facts: vec![
            Fact::new("Earliest step with accuracy of 95%", "22 of 29"),
            Fact::new(
                "Stop rule",
                "confidence of at least 0.91: accuracy 96.2%, mean earliness 0.44, harmonic mean 0.708",
            ),
        ],
    }
}

fn comparison() -> Vec<Contender> {
    let all = [
        ("full", 0.989, 0.002, 0.041, 92.0, 812_000_000),
        ("dual", 0.975, 0.006, 0.092, 81.0, 790_000_000),
        ("language only", 0.962, 0.008, 0.124, 31.0, 402_000_000),
        ("vision only", 0.935, 0.011, 0.241, 52.0, 702_000_000),
        ("kernels only", 0.981, 0.001, 0.061, 3.4, 118_000_000),
        ("1-NN DTW", 0.949, 0.0, 0.612, 11.8, 42_000_000),
    ];
    all.map(
        |(name, accuracy, std, log_loss, seconds, memory)| Contender {
            name: name.to_owned(),
            is_this: name == "full",
            accuracy,
            accuracy_std: Some(std),
            log_loss: Some(log_loss),
            difference: (name != "full").then_some([
                accuracy - 0.989,
                accuracy - 0.995,
                accuracy - 0.983,
            ]),
            log_loss_difference: (name != "full").then_some([log_loss, 0.5 * log_loss, 2.0]),
            seconds: Some(seconds),
            memory_bytes: Some(memory),
        },
    )
    .into()
}

fn cost() -> Cost {
    let stages = [
        ("reading data", 0.04),
        ("drawing plots", 0.9),
        ("kernel features", 1.7),
        ("closed-form head", 0.6),
        ("network, 4 folds", 84.2),
        ("pool and calibration", 0.2),
        ("test", 1.1),
    ];
    Cost {
        stages: stages
            .map(|(name, seconds)| (name.to_owned(), seconds))
            .into(),
        total_seconds: Some(88.9),
        peak_memory_bytes: Some(812_000_000),
        facts: vec![
            Fact::new("Parameters", "1,204,233 in each of 4 fold models"),
            Fact::new("Pictures in the cache", "7,680 (12.3 MB)"),
            Fact::new("Threads", "2"),
        ],
    }
}

fn provenance() -> Provenance {
    Provenance {
        command: Some(
            "timesclip train JapaneseVowels_TRAIN.ts --test-data JapaneseVowels_TEST.ts --out runs/vowels --seed 42"
                .to_owned(),
        ),
        data_hash: Some("xxh3:9f0c2a41d7e85b336f1d0a5b".to_owned()),
        facts: vec![
            Fact::new("timesclip", "0.2.0"),
            Fact::new("Seed", "42"),
            Fact::new("Processor", "2 cores, x86-64 with AVX-512"),
        ],
        configuration: Some(
            "{\n  \"model_type\": \"full\",\n  \"effort\": \"full\",\n  \"folds\": 4,\n  \"seed\": 42,\n  \"plot\": {\n    \"side_px\": 112,\n    \"stroke_px\": 2.0\n  }\n}"
                .to_owned(),
        ),
    }
}

/// Nine classes, twelve variates, few mistakes.
pub(super) fn vowels() -> ReportPage {
    let mut random = Random(5);
    ReportPage {
        name: "JapaneseVowels".to_owned(),
        model: "full".to_owned(),
        created: Some("November 28, 2026".to_owned()),
        class_names: (1..=9)
            .map(|speaker| format!("speaker {speaker}"))
            .collect(),
        evaluation: Some(evaluation(confusion(9, 38, 0.985, &mut random), 0.959)),
        learning: learning(4, 60, &mut random),
        modalities: modalities(),
        modality_split: "held-out training".to_owned(),
        importance: Some(importance(9, 12, &mut random)),
        mistakes: (0..3).map(|i| example(i, (i, i + 1), 12, 9)).collect(),
        unsure_hits: (0..4).map(|i| example(i + 5, (i, i), 12, 9)).collect(),
        data: Some(data(9, 12, [7, 15, 29])),
        early: Some(early()),
        comparison: comparison(),
        cost: cost(),
        provenance: provenance(),
        ..ReportPage::default()
    }
}

/// Two classes, one variate, no folds.
pub(super) fn gunpoint() -> ReportPage {
    let mut random = Random(8);
    ReportPage {
        name: "GunPoint".to_owned(),
        model: "kernels_only".to_owned(),
        class_names: words(&["gun", "point"]),
        evaluation: Some(evaluation(vec![vec![75, 1], vec![0, 74]], 0.993)),
        learning: learning(1, 12, &mut random),
        mistakes: vec![example(0, (0, 1), 1, 2)],
        unsure_hits: (0..5)
            .map(|i| example(i + 4, (i % 2, i % 2), 1, 2))
            .collect(),
        data: Some(data(2, 1, [150, 150, 150])),
        early: None,
        comparison: Vec::new(),
        importance: Some(importance(2, 1, &mut random)),
        ..vowels()
    }
}

/// Any number of classes and variates.
pub(super) fn of_classes(n_classes: usize, n_variates: usize) -> ReportPage {
    let mut random = Random(n_classes as u64);
    ReportPage {
        name: format!("{n_classes} classes of {n_variates} variates"),
        class_names: (0..n_classes)
            .map(|class| format!("species {class:03}"))
            .collect(),
        evaluation: Some(evaluation(
            confusion(n_classes, 20, 0.84, &mut random),
            0.71,
        )),
        learning: learning(10, 900, &mut random),
        importance: Some(importance(n_classes, n_variates, &mut random)),
        mistakes: (0..12)
            .map(|i| {
                example(
                    i,
                    (i % n_classes, (i + 1) % n_classes),
                    n_variates,
                    n_classes,
                )
            })
            .collect(),
        unsure_hits: (0..12)
            .map(|i| example(i, (i % n_classes, i % n_classes), n_variates, n_classes))
            .collect(),
        data: Some(data(n_classes, n_variates, [40, 122, 366])),
        ..vowels()
    }
}

/// Names that try to be markup, to turn the page around, to be too long or not to be there; and
/// the names themselves.
pub(super) fn hostile() -> (ReportPage, Vec<String>) {
    let mut names = words(&[
        "<script>alert('1')</script>",
        "\"><img src=x onerror=alert(1)>",
        "שלום עולם",
        "\u{202e}reversed\u{202c} name",
        "</title></style></svg>",
        "&lt;already&amp;escaped&gt;",
        "",
        "线图时间序列分类的一个很长很长很长很长很长的名字",
        "line\nbreak\tand \0 nul \u{1b}[31m",
    ]);
    names[8] = "Z\u{335}\u{341}\u{327}a\u{301}\u{302}\u{303}lgo".repeat(30);
    names.push("long".repeat(2_500));
    names.push(format!(
        "a line\nbreak, a \0 nul, an escape {}",
        "\u{1b}[31m"
    ));
    let mut page = of_classes(names.len(), 3);
    page.class_names = names.clone();
    let all = names.join(" ");
    page.name = names[0].clone();
    page.model = all.clone();
    page.created = Some(all.clone());
    for example in page.mistakes.iter_mut().chain(&mut page.unsure_hits) {
        example.id = names[9].clone();
        example
            .plots
            .iter_mut()
            .for_each(|plot| plot.variate = names[1].clone());
    }
    for curve in &mut page.learning {
        curve.name = names[4].clone();
    }
    page.modalities[0].name = names[0].clone();
    page.comparison[0].name = names[9].clone();
    page.evaluation.as_mut().unwrap().split = names[9].clone();
    page.evaluation.as_mut().unwrap().baselines[0].name = names[0].clone();
    let data = page.data.as_mut().unwrap();
    data.variate_names = names.clone();
    data.splits[0].name = names[3].clone();
    data.findings[0].text = all.clone();
    page.cost.stages[0].0 = names[9].clone();
    page.cost.facts[0] = Fact::new(names[1].clone(), all.clone());
    page.provenance.command = Some(all.clone());
    page.provenance.data_hash = Some(all.clone());
    page.provenance.configuration = Some(all.clone());
    page.importance.as_mut().unwrap().method = all.clone();
    page.early.as_mut().unwrap().facts[0] = Fact::new(names[0].clone(), names[9].clone());
    (page, names)
}

/// Scores that were not defined, in every place.
pub(super) fn not_numbers() -> ReportPage {
    let mut page = vowels();
    let evaluation = page.evaluation.as_mut().unwrap();
    evaluation.log_loss = Some(f64::NAN);
    evaluation.ece = Some(f64::INFINITY);
    evaluation.baselines[0].accuracy = f64::NAN;
    evaluation.calibration[0].confidence = f64::NAN;
    page.learning[0]
        .epochs
        .iter_mut()
        .for_each(|epoch| epoch.train_loss = Some(f64::INFINITY));
    page.learning[1]
        .epochs
        .iter_mut()
        .for_each(|epoch| epoch.valid_loss = Some(f64::NAN));
    page.modalities
        .iter_mut()
        .for_each(|modality| modality.weight = Some(f64::NAN));
    let importance = page.importance.as_mut().unwrap();
    importance.variate_weights[0] = f64::NAN;
    importance.classes[0].windows[0][0] = f32::NAN;
    page.mistakes[0].probabilities[0].1 = f32::NAN;
    page.mistakes[0].plots[0].importance[0].value = f32::NAN;
    page.early.as_mut().unwrap().points[0].log_loss = Some(f64::NAN);
    page.comparison[0].accuracy = f64::NAN;
    page.comparison[1].difference = Some([f64::NAN; 3]);
    page.cost.stages[0].1 = f64::NAN;
    page
}
