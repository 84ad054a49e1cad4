//! What microphones and speakers of the system have in common: cpal.

use crate::input::OpenError;
use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{Device, ErrorKind};

/// Of the many names that ALSA has for a card, those that mean one whole device with conversions; elsewhere, all.
fn is_worth_listing(id: &str) -> bool {
    let Some(name) = id.strip_prefix("alsa:") else {
        return true;
    };
    matches!(name, "default" | "pulse" | "pipewire") || name.starts_with("plughw:")
}

/// The devices that `works` accepts, the system's default first, each with its id.
pub(crate) fn devices(
    default: impl FnOnce(&cpal::Host) -> Option<Device>,
    works: impl Fn(&Device) -> bool,
) -> Vec<(String, Device)> {
    let host = cpal::default_host();
    let all = host.devices().into_iter().flatten();
    let mut found: Vec<(String, Device)> = Vec::new();
    for device in default(&host).into_iter().chain(all) {
        let Ok(id) = device.id().map(|id| id.to_string()) else {
            continue;
        };
        let known = found.iter().any(|(other, _)| *other == id);
        if !known && is_worth_listing(&id) && works(&device) {
            found.push((id, device));
        }
    }
    found
}

/// What to call a device in front of a person.
pub(crate) fn label(device: &Device, id: &str) -> String {
    match device.description() {
        Ok(description) => description.name().to_owned(),
        Err(_) => id.to_owned(),
    }
}

pub(crate) fn open_error(error: &cpal::Error) -> OpenError {
    let problem = error.to_string();
    match error.kind() {
        ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable => OpenError::NotFound(problem),
        ErrorKind::PermissionDenied => OpenError::NotAllowed(problem),
        _ => OpenError::NotReadable(problem),
    }
}

/// Whether a stream goes on after this.
pub(crate) fn is_harmless(error: &cpal::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged
    )
}
