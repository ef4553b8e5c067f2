//! Which backend is chosen unasked, on the machine that the tests run on.

use timesclip::backend::{BackendChoice, BackendError, BackendKind};

#[test]
fn auto_takes_a_gpu_if_there_is_one_and_never_an_imitated_one() {
    let chosen = BackendChoice::Auto
        .choose(None)
        .expect("the processor at least");
    println!("auto is {chosen}");
    let is_gpu = |kind: &BackendKind| {
        let devices = kind.devices().unwrap_or_default();
        devices.iter().any(|device| device.is_gpu)
    };
    let fastest = BackendKind::ALL.into_iter().find(is_gpu);
    assert_eq!(chosen.kind, fastest.unwrap_or(BackendKind::Cpu));
    assert_eq!(chosen.passed_over, []);
}

#[test]
fn every_device_is_found_again_by_its_number() {
    for kind in BackendKind::ALL {
        for (index, device) in kind.devices().unwrap_or_default().iter().enumerate() {
            println!("{kind} {index}: {device}, a GPU: {}", device.is_gpu);
            match kind.try_device(index) {
                Err(refused @ BackendError::Nameless { .. }) => println!("{refused}"),
                tried => assert_eq!(tried.as_ref(), Ok(device)),
            }
            let imitated = ["llvmpipe", "SwiftShader"];
            let imitated = imitated.iter().any(|name| device.name.contains(name));
            assert!(!(imitated && device.is_gpu), "{device} is no GPU");
        }
    }
}
