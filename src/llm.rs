//! Chat models on servers: requests, dialects, limits, prices, batches.

pub mod anthropic;
pub mod batch;
mod batch_support;
mod body;
pub mod catalog;
mod config;
mod connect;
pub mod cost;
mod dialect;
mod limits;
mod model;
pub mod ollama;
pub mod openai;
pub mod params;
pub mod provider;
mod remote;
mod reply;
mod request;
mod sse;
mod stream_writer;
mod supported_params;
pub mod tokens;
mod usage;
mod validate;

pub use self::anthropic::Anthropic;
pub use self::body::RequestBody;
pub use self::config::ChatConfig;
pub use self::connect::connect;
pub use self::limits::ModelLimits;
pub use self::model::ChatModel;
pub use self::ollama::Ollama;
pub use self::openai::OpenAi;
pub use self::params::{Detail, ResponseFormat, SamplingParams};
pub use self::request::{ChatRequest, StreamSink, StreamUpdate};
