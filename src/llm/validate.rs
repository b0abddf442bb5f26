//! Checks messages against the limits of one request, before anything is sent.

use super::config::ChatConfig;
use super::provider::DialectKind;
use super::request::ChatRequest;
use super::tool_spec;
use crate::advice::{Advice, Setting};
use crate::chat::{Part, Role};
use crate::error::{Error, ErrorCode, Result};
use crate::media::{EncodedImage, ImageFormat};

/// With more images than this a provider may require smaller ones.
const MANY_IMAGES: usize = 20;

/// Checks a request against the limits of one request; `server` is for errors.
pub(super) fn check(config: &ChatConfig, server: &str, request: &ChatRequest<'_>) -> Result<()> {
    let messages = request.messages;
    if messages.is_empty() {
        return Err(Error::usage(server, "the request has no messages", ""));
    }
    tool_spec::check(server, messages, request.tools)?;
    let limits = config.request_limits();
    let (mut n_images, mut n_bytes, mut n_audio_bytes) = (0, 0, 0);
    for message in messages {
        for part in &message.parts {
            match part {
                Part::Text(_) | Part::ToolCall(_) | Part::ToolResult { .. } => {}
                _ if message.role != Role::User => {
                    let role = if message.role == Role::System { "a system" } else { "an assistant" };
                    let problem = format!("{role} message contains an image or audio");
                    return Err(Error::usage(server, problem, "move it to a user message"));
                }
                Part::Image(image) => {
                    n_images += 1;
                    n_bytes += image.bytes.len() as u64;
                }
                Part::ImageUrl(_) => n_images += 1,
                Part::Audio(_) if config.provider.dialect != DialectKind::Openai => {
                    let problem = format!("{} does not support audio in a chat", config.provider.name);
                    return Err(Error::usage(server, problem, Advice::Unset(Setting::SendAudio)));
                }
                Part::Audio(wav) => n_audio_bytes += wav.len() as u64,
            }
        }
    }
    if n_audio_bytes > limits.max_request_sound_bytes {
        let most = limits.max_request_sound_bytes;
        let problem = format!("the request has {n_audio_bytes} bytes of audio; the maximum is {most}");
        return Err(Error::limit(server, problem, "send a shorter part").with_code(ErrorCode::RequestTooLarge));
    }
    if n_images > limits.max_request_frames {
        let problem = format!("the request has {n_images} images; the maximum is {}", limits.max_request_frames);
        return Err(Error::limit(server, problem, Advice::send_less()).with_code(ErrorCode::RequestTooLarge));
    }
    if n_bytes > limits.max_request_image_bytes {
        let most = limits.max_request_image_bytes;
        let problem = format!("the request has {n_bytes} bytes of images; the maximum is {most}");
        return Err(Error::limit(server, problem, Advice::send_less()).with_code(ErrorCode::RequestTooLarge));
    }
    let images = messages.iter().flat_map(|message| &message.parts);
    let images = images.filter_map(|part| if let Part::Image(image) = part { Some(image) } else { None });
    images.into_iter().try_for_each(|image| check_image(config, server, image, n_images > MANY_IMAGES))
}

fn check_image(config: &ChatConfig, server: &str, image: &EncodedImage, are_many: bool) -> Result<()> {
    let provider = &config.provider;
    if !provider.image_formats.is_empty() && !provider.image_formats.contains(&image.format) {
        let has_jpeg = provider.image_formats.contains(&ImageFormat::Jpeg);
        let jpeg = || Advice::SetTo(Setting::ImageFormat, "jpeg".into());
        let advice = if has_jpeg { jpeg() } else { Advice::Set(Setting::ImageFormat) };
        let problem = format!("{} does not support {}", provider.name, image.format.mime());
        return Err(Error::usage(server, problem, advice));
    }
    let n_bytes = image.bytes.len() as u64;
    if let Some(most) = provider.max_image_bytes.filter(|most| n_bytes > *most) {
        let problem =
            format!("image #{} has {n_bytes} bytes; the maximum of {} is {most}", image.frame_idx, provider.name);
        return Err(
            Error::limit(server, problem, Advice::Lower(Setting::MaxWidth)).with_code(ErrorCode::RequestTooLarge)
        );
    }
    let most = provider.max_image_edge_many_px.filter(|_| are_many).or(provider.max_image_edge_px);
    let edge = image.width.max(image.height);
    if let Some(most) = most.filter(|most| edge > *most) {
        let problem = format!(
            "the longer edge of image #{} is {edge} px; the maximum of {} is {most} px here",
            image.frame_idx, provider.name
        );
        return Err(
            Error::limit(server, problem, Advice::Lower(Setting::MaxWidth)).with_code(ErrorCode::RequestTooLarge)
        );
    }
    Ok(())
}
