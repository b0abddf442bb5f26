//! Five programs of at most 20 lines, as someone new to the library would write them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vidgist::engine::{Config, Engine, Outcome, Secrets};
use vidgist::job::Job;
use vidgist::{Sampling, Video};

use crate::support::fake_server::{CHAT_MODEL, FakeServer};

#[test]
fn frames_of_a_video_as_images() -> vidgist::Result<()> {
    let video = Video::open("fixtures/talk.mp4")?.max_width(320);
    let mut times = Vec::new();
    for frame in video.frames(Sampling::every(Duration::from_secs(5)))? {
        let frame = frame?;
        let image = frame.to_image();
        assert_eq!((image.width(), image.height()), (320, 180));
        times.push(frame.time.secs_f64());
    }
    assert_eq!(times, [0.0, 5.0, 10.0, 15.0]);
    Ok(())
}

#[test]
fn only_the_first_frame() -> vidgist::Result<()> {
    let mut frames = Video::open("fixtures/talk.mp4")?.frames(Sampling::every(Duration::from_millis(40)))?;
    let first = frames.next().expect("a frame")?;
    assert_eq!((first.frame_idx, first.width, first.height), (0, 640, 360));
    assert_eq!(first.rgb.len(), 640 * 360 * 3);
    Ok(())
}

#[tokio::test]
async fn a_summary_by_a_vision_model() -> vidgist::Result<()> {
    let server = FakeServer::start();
    let report = vidgist::summarize("fixtures/talk.mp4")
        .base_url(server.base_url())
        .model(CHAT_MODEL)
        .every(Duration::from_secs(5))
        .run()
        .await?;
    assert_eq!(report.frames.len(), 4);
    assert!(report.answer.expect("an answer").choices[0].text.contains("00:05"));
    Ok(())
}

#[tokio::test]
async fn a_transcript() -> vidgist::Result<()> {
    let transcript = vidgist::transcribe("fixtures/talk.mp4").language("en").run().await?;
    let first = &transcript.segments[0];
    assert!(first.text.starts_with("A red square"), "{}", first.text);
    assert!(first.range.start < first.range.end);
    Ok(())
}

#[tokio::test]
async fn a_job_from_a_file_with_progress() -> vidgist::Result<()> {
    let text = "version = 1\n[task.transcribe]\ninputs = [\"fixtures/talk.mp4\", \"fixtures/talk.mp4\"]\noutput = \"";
    let folder = tempfile::tempdir().expect("a folder");
    let job = Job::from_toml(&format!("{text}{}\"", folder.path().display()))?;
    let engine = Engine::new(Config::default(), Secrets::default());
    let mut run = engine.run(job, CancellationToken::new());
    let mut n_events = 0;
    while let Some(event) = run.next_event().await {
        assert!(serde_json::to_string(&event).expect("JSON").starts_with("{\"event\":\""));
        n_events += 1;
    }
    let Outcome::Transcripts(result) = run.finish().await? else { panic!("another outcome") };
    assert!(n_events >= 4 && result.files.len() == 2 && folder.path().join("talk.2.srt").exists());
    Ok(())
}
