//! Fetching from a hub, against a small server on this machine that answers as a hub does.
//!
//! A binary of its own, because it needs the feature `hub` and nothing that the others need.

#[path = "hub/server.rs"]
mod server;

use std::error::Error;
use std::fs;
use std::path::Path;

use timesclip::weights::hub::{HubError, HubOptions, WeightsSource, fetch};

use server::{COMMIT, Fault, Hub};

const NAME: &str = "owner/model";
/// Long enough to be cut in the middle.
const WEIGHTS: &[u8] = &[7; 5000];

fn whole() -> Hub {
    Hub::new(&[
        ("config.json", br#"{"hidden_act": "gelu"}"#),
        ("preprocessor_config.json", br#"{"image_mean": [0, 0, 0]}"#),
        ("model.safetensors", WEIGHTS),
        ("pytorch_model.bin", b"not wanted"),
    ])
}

fn options(hub: &Hub, cache: &Path) -> HubOptions {
    HubOptions {
        endpoint: hub.endpoint(),
        ..HubOptions::new(cache)
    }
}

fn cache() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for the cache")
}

/// Names of the files of a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.expect("an entry of the folder").file_name();
        name.into_string().expect("a plain name")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// An error and its causes, as a user sees them.
fn told(error: &HubError) -> String {
    let causes = std::iter::successors(Some(error as &dyn Error), |error| (*error).source());
    causes
        .map(|cause| cause.to_string())
        .collect::<Vec<_>>()
        .join(": ")
}

#[test]
fn a_model_is_fetched_once_and_then_there_without_the_hub() {
    let (cache, hub) = (cache(), whole());
    let options = options(&hub, cache.path());

    let folder = fetch(NAME, &options).unwrap();

    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), WEIGHTS);
    let expected = [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ];
    assert_eq!(names(&folder), expected);
    // Where every other tool looks for it.
    let model = cache.path().join("models--owner--model");
    assert_eq!(folder, model.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(names(&model.join("blobs")).len(), 3);

    drop(hub);
    assert_eq!(fetch(NAME, &options).unwrap(), folder);
    let offline = HubOptions {
        offline: true,
        ..options
    };
    assert_eq!(fetch(NAME, &offline).unwrap(), folder);
}

#[test]
fn offline_nothing_is_asked_and_the_error_says_what_to_do() {
    let (cache, hub) = (cache(), whole());
    let options = HubOptions {
        offline: true,
        ..options(&hub, cache.path())
    };

    let error = fetch(NAME, &options).unwrap_err();

    assert!(matches!(error, HubError::Offline { .. }), "{error:?}");
    let text = told(&error);
    for part in [
        NAME,
        "main",
        "config.json",
        "HF_HUB_OFFLINE",
        "pass a folder",
    ] {
        assert!(text.contains(part), "no {part}: {text}");
    }
    assert_eq!(hub.requests(), [""; 0]);
    assert_eq!(names(cache.path()), [""; 0]);
}

#[test]
fn a_hub_that_does_not_answer_is_named_with_what_was_wanted() {
    let cache = cache();
    let options = options(&whole(), cache.path()); // Gone by the next line.

    let error = fetch(NAME, &options).unwrap_err();

    assert!(matches!(error, HubError::Unreachable { .. }), "{error:?}");
    let text = told(&error);
    for part in [
        NAME,
        "config.json",
        &options.endpoint,
        "offline",
        "pass a folder",
    ] {
        assert!(text.contains(part), "no {part}: {text}");
    }
}

#[test]
fn a_model_that_the_hub_does_not_have_is_named() {
    let (cache, hub) = (cache(), whole());
    let options = options(&hub, cache.path());
    for name in ["owner/other", "nobody/model"] {
        let error = fetch(name, &options).unwrap_err();
        assert!(matches!(error, HubError::NotFound { .. }), "{error:?}");
        assert!(told(&error).contains(name) && told(&error).contains(&hub.endpoint()));
    }
    let names_none = fetch("../model", &options).unwrap_err();
    assert!(
        matches!(names_none, HubError::Name { .. }),
        "{names_none:?}"
    );
}

#[test]
fn a_body_that_is_cut_off_leaves_no_file_and_the_next_call_goes_on() {
    let (cache, hub) = (cache(), whole());
    let options = options(&hub, cache.path());
    hub.set_fault("model.safetensors", Fault::CutAfter(2000));

    let error = fetch(NAME, &options).unwrap_err();

    assert!(matches!(error, HubError::Unreachable { .. }), "{error:?}");
    let model = cache.path().join("models--owner--model");
    let snapshot = model.join("snapshots").join(COMMIT);
    assert!(!names(&snapshot).contains(&"model.safetensors".to_owned()));
    assert_eq!(
        names(&model.join("blobs")).len(),
        2,
        "config and preprocessor are whole"
    );
    assert_eq!(
        names(&model.join("refs")),
        [""; 0],
        "nobody may take this for a model"
    );

    hub.set_fault("model.safetensors", Fault::None);
    let folder = fetch(NAME, &options).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), WEIGHTS);
    let resumed = hub
        .requests()
        .iter()
        .any(|request| request.ends_with("bytes=2000-"));
    assert!(resumed, "{:?}", hub.requests());
}

#[test]
fn a_hub_that_starts_anew_when_asked_to_go_on_is_found_out() {
    let (cache, hub) = (cache(), whole());
    let options = options(&hub, cache.path());
    hub.set_fault("model.safetensors", Fault::CutAfter(2000));
    fetch(NAME, &options).unwrap_err();
    hub.set_fault("model.safetensors", Fault::IgnoreRange);

    let error = fetch(NAME, &options).unwrap_err();

    let (found, expected) = (7000, 5000);
    assert!(
        matches!(error, HubError::Damaged { found: f, expected: e, .. } if (f, e) == (found, expected)),
        "{error:?}"
    );
    let folder = fetch(NAME, &options).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), WEIGHTS);
}

#[test]
fn what_cannot_be_gone_on_with_is_fetched_anew() {
    let whole_without_its_name = ("model.safetensors", WEIGHTS);
    let too_long: (&str, &[u8]) = ("config.json", &[b' '; 999]);
    for (file, bytes) in [whole_without_its_name, too_long] {
        let (cache, hub) = (cache(), whole());
        let partial = cache
            .path()
            .join(".locks/models--owner--model/timesclip-partial");
        let blobs = partial.join("models--owner--model/blobs");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join(format!("{}.part", server::tag(file))), bytes).unwrap();

        let folder = fetch(NAME, &options(&hub, cache.path())).unwrap();

        assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), WEIGHTS);
        let config = fs::read_to_string(folder.join("config.json")).unwrap();
        assert!(config.contains("gelu"), "{config}");
        assert!(!partial.exists());
    }
}

#[test]
fn parts_are_fetched_as_the_list_says_and_a_missing_one_is_named() {
    let index =
        br#"{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors",
        "c": "model-1-of-2.safetensors"}}"#;
    let files: [(&str, &[u8]); 4] = [
        ("config.json", b"{}"),
        ("model.safetensors.index.json", index),
        ("model-1-of-2.safetensors", b"one"),
        ("model-2-of-2.safetensors", b"two"),
    ];
    let (whole, lacking) = (Hub::new(&files), Hub::new(&files[..3]));
    let cache = cache();

    let error = fetch(NAME, &options(&lacking, cache.path())).unwrap_err();
    assert!(told(&error).contains("model-2-of-2.safetensors"), "{error}");
    let options = options(&whole, cache.path());
    let folder = fetch(NAME, &options).unwrap();

    assert_eq!(
        fs::read(folder.join("model-2-of-2.safetensors")).unwrap(),
        b"two"
    );
    drop(whole);
    assert_eq!(fetch(NAME, &options).unwrap(), folder);
    // One part is gone: the cache has the model no more.
    fs::remove_file(folder.join("model-1-of-2.safetensors")).unwrap();
    let offline = HubOptions {
        offline: true,
        ..options
    };
    assert!(told(&fetch(NAME, &offline).unwrap_err()).contains("model-1-of-2.safetensors"));
}

#[test]
fn a_list_that_points_elsewhere_is_refused() {
    for part in [
        r#""../../../evil""#,
        r#""/etc/evil""#,
        r#""""#,
        "3",
        r#"".hidden""#,
    ] {
        let index = format!(r#"{{"weight_map": {{"a": {part}}}}}"#);
        let hub = Hub::new(&[
            ("config.json", b"{}"),
            ("model.safetensors.index.json", index.as_bytes()),
        ]);
        let cache = cache();
        let error = fetch(NAME, &options(&hub, cache.path())).unwrap_err();
        assert!(matches!(error, HubError::Index { .. }), "{part}: {error:?}");
    }
}

#[test]
fn older_weights_do_and_no_weights_are_refused() {
    let old: [(&str, &[u8]); 2] = [("config.json", b"{}"), ("pytorch_model.bin", b"old")];
    let (old, none) = (Hub::new(&old), Hub::new(&old[..1]));
    let (cache_old, cache_none) = (cache(), cache());

    let folder = fetch(NAME, &options(&old, cache_old.path())).unwrap();
    assert_eq!(names(&folder), ["config.json", "pytorch_model.bin"]);
    // It has no preprocessor_config.json, which is remembered: the hub is not asked again.
    let options_old = options(&old, cache_old.path());
    drop(old);
    assert_eq!(fetch(NAME, &options_old).unwrap(), folder);

    let error = fetch(NAME, &options(&none, cache_none.path())).unwrap_err();
    assert!(matches!(error, HubError::NoWeights { .. }), "{error:?}");
    assert!(told(&error).contains("model.safetensors, "), "{error}");
}

#[test]
fn weights_on_another_server_are_followed_there() {
    let (cache, hub) = (cache(), whole());
    hub.set_fault("model.safetensors", Fault::Redirect);
    let folder = fetch(NAME, &options(&hub, cache.path())).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), WEIGHTS);
}

#[test]
fn a_token_is_sent_and_a_refusal_says_that_one_is_needed() {
    let (cache, hub) = (cache(), whole());
    hub.require_token("secret");
    let mut options = options(&hub, cache.path());

    let error = fetch(NAME, &options).unwrap_err();
    assert!(
        matches!(error, HubError::Refused { status: 401, .. }),
        "{error:?}"
    );
    assert!(told(&error).contains("HF_TOKEN"), "{error}");

    options.token = Some("secret".to_owned());
    fetch(NAME, &options).unwrap();
}

#[test]
fn a_revision_is_fetched_at_its_commit_and_kept_under_its_name() {
    let (cache, hub) = (cache(), whole());
    let options = options(&hub, cache.path());
    let source: WeightsSource = format!("hf:{NAME}@refs/pr/1").parse().unwrap();

    let folder = source.local(&options).unwrap();

    let reference = cache.path().join("models--owner--model/refs/refs/pr/1");
    assert_eq!(fs::read_to_string(reference).unwrap(), COMMIT);
    let (first, later) = hub
        .requests()
        .split_first()
        .map(|(a, b)| (a.clone(), b.to_vec()))
        .unwrap();
    assert!(
        first.contains("/resolve/refs%2Fpr%2F1/config.json"),
        "{first}"
    );
    assert!(
        later.iter().all(|request| request.contains(COMMIT)),
        "{later:?}"
    );
    // By its commit it is there already.
    drop(hub);
    let by_commit: WeightsSource = format!("hf:{NAME}@{COMMIT}").parse().unwrap();
    assert_eq!(by_commit.local(&options).unwrap(), folder);
}

#[test]
fn several_threads_that_want_one_model_fetch_it_once() {
    let (cache, hub) = (cache(), whole());
    let options = options(&hub, cache.path());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| fetch(NAME, &options)))
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
    let bodies = hub.requests();
    let of_weights = bodies
        .iter()
        .filter(|r| r.contains("model.safetensors") && r.ends_with("bytes=0-"));
    assert_eq!(of_weights.count(), 1, "{bodies:?}");
}
