//! Messages held against the limits of one request, before a byte is sent.

use super::ChatConfig;
use super::provider::DialectKind;
use crate::chat::{Message, Part, Role};
use crate::error::{Error, Result};
use crate::media::{EncodedImage, ImageFormat};

const ADVICE: &str = "send fewer frames (--interval, --max-frames) or smaller ones (--max-width)";
/// With more pictures than this a provider may want smaller ones.
const MANY_PICTURES: usize = 20;

/// Holds the messages against the limits of one request; `server` is named in errors.
pub(super) fn check(config: &ChatConfig, server: &str, messages: &[Message]) -> Result<()> {
    if messages.is_empty() {
        return Err(Error::usage(server, "there is no message to send", ""));
    }
    let limits = config.request_limits();
    let (mut n_pictures, mut n_bytes, mut n_sound_bytes) = (0, 0, 0);
    for message in messages {
        for part in message.parts.iter().filter(|part| !matches!(part, Part::Text(_))) {
            if message.role == Role::System {
                let problem = "a system message holds a picture or sound";
                return Err(Error::usage(server, problem, "put it into a user message"));
            }
            match part {
                Part::Text(_) => {}
                Part::Image(image) => {
                    n_pictures += 1;
                    n_bytes += image.bytes.len() as u64;
                }
                Part::ImageUrl(_) => n_pictures += 1,
                Part::Audio(_) if config.provider.dialect != DialectKind::Openai => {
                    let problem = format!("{} takes no sound in a chat", config.provider.name);
                    return Err(Error::usage(server, problem, "leave out --send-audio"));
                }
                Part::Audio(wav) => n_sound_bytes += wav.len() as u64,
            }
        }
    }
    if n_sound_bytes > limits.max_request_sound_bytes {
        let most = limits.max_request_sound_bytes;
        let problem = format!("{n_sound_bytes} bytes of sound for one request, which may hold {most}");
        return Err(Error::limit(server, problem, "send a shorter part of it"));
    }
    if n_pictures > limits.max_request_frames {
        let problem = format!("{n_pictures} pictures for one request, which may hold {}", limits.max_request_frames);
        return Err(Error::limit(server, problem, ADVICE));
    }
    if n_bytes > limits.max_request_image_bytes {
        let most = limits.max_request_image_bytes;
        let problem = format!("{n_bytes} bytes of pictures for one request, which may hold {most}");
        return Err(Error::limit(server, problem, ADVICE));
    }
    let images = messages.iter().flat_map(|message| &message.parts);
    let images = images.filter_map(|part| if let Part::Image(image) = part { Some(image) } else { None });
    images.into_iter().try_for_each(|image| check_image(config, server, image, n_pictures > MANY_PICTURES))
}

fn check_image(config: &ChatConfig, server: &str, image: &EncodedImage, are_many: bool) -> Result<()> {
    let provider = &config.provider;
    if !provider.image_formats.is_empty() && !provider.image_formats.contains(&image.format) {
        let jpeg = provider.image_formats.contains(&ImageFormat::Jpeg);
        let advice = if jpeg { "use --image-format jpeg" } else { "use another --image-format" };
        let problem = format!("{} does not take {}", provider.name, image.format.mime());
        return Err(Error::usage(server, problem, advice));
    }
    let n_bytes = image.bytes.len() as u64;
    if let Some(most) = provider.max_image_bytes.filter(|most| n_bytes > *most) {
        let problem = format!("picture #{} has {n_bytes} bytes; {} takes {most}", image.frame_idx, provider.name);
        return Err(Error::limit(server, problem, "send smaller ones (--max-width)"));
    }
    let most = provider.max_image_edge_many_px.filter(|_| are_many).or(provider.max_image_edge_px);
    let edge = image.width.max(image.height);
    if let Some(most) = most.filter(|most| edge > *most) {
        let problem =
            format!("picture #{} is {edge} pixels long; {} takes {most} here", image.frame_idx, provider.name);
        return Err(Error::limit(server, problem, "send smaller ones (--max-width)"));
    }
    Ok(())
}
