//! Parameters that a model does not take: left out before they are sent where that is known, and otherwise once the
//! server has refused them. What was learnt holds for all further requests.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{ChatConfig, ResponseFormat};
use crate::error::{Error, Result};
use crate::http::{RequestError, RequestErrorKind};

/// `OpenAI`'s later name of the limit of tokens.
const NEW_MAX_TOKENS: &str = "max_completion_tokens";

/// Something that is sent besides model and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Param {
    Detail,
    MaxTokens,
    N,
    ReasoningEffort,
    ResponseFormat,
    Seed,
    Stop,
    Store,
    StreamOptions,
    Temperature,
    TopP,
}

impl Param {
    const ALL: [Self; 11] = [
        Self::Detail,
        Self::MaxTokens,
        Self::N,
        Self::ReasoningEffort,
        Self::ResponseFormat,
        Self::Seed,
        Self::Stop,
        Self::Store,
        Self::StreamOptions,
        Self::Temperature,
        Self::TopP,
    ];

    /// Its names in the dialects, `OpenAI`'s first.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Detail => &["detail"],
            Self::MaxTokens => &["max_tokens", NEW_MAX_TOKENS],
            Self::N => &["n"],
            Self::ReasoningEffort => &["reasoning_effort", "output_config.effort", "effort", "think"],
            Self::ResponseFormat => &["response_format", "output_config.format", "output_format", "format"],
            Self::Seed => &["seed", "random_seed"],
            Self::Stop => &["stop", "stop_sequences"],
            Self::Store => &["store"],
            Self::StreamOptions => &["stream_options"],
            Self::Temperature => &["temperature"],
            Self::TopP => &["top_p"],
        }
    }

    /// The option that asks for it; None where no user did.
    fn option(self) -> Option<&'static str> {
        match self {
            Self::Detail => Some("--detail"),
            Self::MaxTokens => Some("--max-tokens"),
            Self::N => Some("--n"),
            Self::ReasoningEffort => Some("--reasoning-effort"),
            Self::ResponseFormat => Some("the JSON schema"),
            Self::Seed => Some("--seed"),
            Self::Stop => Some("--stop"),
            Self::Temperature => Some("--temperature"),
            Self::TopP => Some("--top-p"),
            Self::Store | Self::StreamOptions => None,
        }
    }

    /// Whether the caller asks for it.
    fn is_asked(self, config: &ChatConfig, format: Option<&ResponseFormat>) -> bool {
        let params = &config.params;
        match self {
            Self::Detail => params.detail.is_some(),
            Self::MaxTokens => params.max_tokens.is_some(),
            Self::N => params.n.is_some(),
            Self::ReasoningEffort => params.reasoning_effort.is_some(),
            Self::ResponseFormat => format.is_some(),
            Self::Seed => params.seed.is_some(),
            Self::Stop => !params.stop.is_empty(),
            Self::Temperature => params.temperature.is_some(),
            Self::TopP => params.top_p.is_some(),
            Self::Store | Self::StreamOptions => false,
        }
    }
}

/// What is not sent, or under another name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Adapted {
    dropped: BTreeSet<Param>,
    /// The name that the server asked for.
    pub max_tokens_key: Option<&'static str>,
}

impl Adapted {
    /// Whether a parameter may be sent.
    pub fn takes(&self, param: Param) -> bool {
        !self.dropped.contains(&param)
    }

    /// The names of what was asked for and not sent.
    pub fn dropped_names(&self, config: &ChatConfig, format: Option<&ResponseFormat>) -> Vec<String> {
        let asked = self.dropped.iter().filter(|param| param.is_asked(config, format));
        asked.map(|param| param.names()[0].to_owned()).collect()
    }
}

/// What is known of a model's taste; clones share it.
#[derive(Clone, Debug)]
pub(super) struct SupportedParams {
    adapted: Arc<Mutex<Adapted>>,
}

impl SupportedParams {
    /// Leaves out what the tables say is not taken.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where that was asked for, and nothing may be left out.
    pub fn new(config: &ChatConfig) -> Result<Self> {
        let has_sampling = config.facts.as_ref().is_none_or(|facts| facts.sampling);
        let is_refused = |param: &Param| {
            config.provider.refused.iter().any(|name| param.names().contains(&name.as_str()))
                || (!has_sampling && matches!(param, Param::Temperature | Param::TopP))
                || (*param == Param::Store && !config.provider.takes_store)
                || (*param == Param::Seed && config.provider.seed_key.is_empty())
        };
        let dropped: BTreeSet<Param> = Param::ALL.into_iter().filter(is_refused).collect();
        for param in dropped.iter().filter(|param| param.is_asked(config, None)) {
            let (option, model) = (param.option().unwrap_or_default(), &config.model);
            if config.strict_params {
                let problem = format!("{model} does not take it");
                return Err(Error::usage(option, problem, format!("leave out {option} or --strict-params")));
            }
            tracing::warn!("{option} is left out: {model} does not take it");
        }
        Ok(Self { adapted: Arc::new(Mutex::new(Adapted { dropped, max_tokens_key: None })) })
    }

    /// What is known now.
    pub fn now(&self) -> Adapted {
        self.adapted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Learns from a refusal of a request that was sent as `sent` says; whether another try is worth it.
    pub fn learn(
        &self,
        config: &ChatConfig,
        format: Option<&ResponseFormat>,
        sent: &Adapted,
        failure: &RequestError,
    ) -> bool {
        if !is_refusal(failure) || config.strict_params {
            return false;
        }
        let was_sent = |param: &Param| {
            let is_ours = matches!(param, Param::Store | Param::StreamOptions);
            sent.takes(*param) && (is_ours || param.is_asked(config, format))
        };
        let mut known = self.adapted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(param) = Param::ALL.into_iter().filter(was_sent).find(|param| is_named(*param, failure)) else {
            return false;
        };
        let uses_old_name = sent.max_tokens_key.is_none() && config.provider.max_tokens_key != NEW_MAX_TOKENS;
        if param == Param::MaxTokens && uses_old_name && failure.problem.contains(NEW_MAX_TOKENS) {
            known.max_tokens_key = Some(NEW_MAX_TOKENS);
            tracing::info!("{}: calls max_tokens {NEW_MAX_TOKENS}", config.model);
            return true;
        }
        if known.dropped.insert(param) {
            let name = param.option().unwrap_or(param.names()[0]);
            tracing::warn!("{name} is left out: {} does not take it ({})", config.model, failure.problem);
        }
        true
    }
}

fn is_refusal(failure: &RequestError) -> bool {
    matches!(failure.kind, RequestErrorKind::Status(400 | 422))
}

/// Whether a refusal is about a parameter: the server names it in a field of its own, or quotes it in a text that says
/// that it is not taken.
fn is_named(param: Param, failure: &RequestError) -> bool {
    const WORDS: [&str; 11] = [
        "unsupported",
        "not support",
        "unrecognized",
        "unknown",
        "not permitted",
        "not allowed",
        "deprecated",
        "extra",
        "cannot be",
        "invalid",
        "must be",
    ];
    // `image_url.detail`, `messages[1].content[0].image_url.detail`, `response_format.json_schema`.
    let is_part = |field: &str, name: &str| field == name || field.split(['.', '[']).any(|part| part == name);
    let of_field = |name: &str| failure.param.as_deref().is_some_and(|field| is_part(field, name));
    let text = failure.problem.to_ascii_lowercase();
    let is_about = WORDS.iter().any(|word| text.contains(word));
    let in_text = |name: &str| {
        let quoted = ["'", "\"", "`"].iter().any(|mark| text.contains(&format!("{mark}{name}{mark}")));
        quoted || text.contains(&format!("supplied: {name}")) || text.contains(&format!(" {name}: "))
    };
    param.names().iter().any(|name| of_field(name) || (failure.param.is_none() && is_about && in_text(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{ServerConfig, parse_base_url};
    use crate::llm::SamplingParams;

    fn config() -> ChatConfig {
        let server = ServerConfig::new(parse_base_url("https://llm.example/v1").expect("an address"));
        let params = SamplingParams {
            temperature: Some(0.2),
            max_tokens: Some(5),
            n: Some(2),
            seed: Some(1),
            ..SamplingParams::default()
        };
        ChatConfig { params, ..ChatConfig::new(server, "m") }
    }

    fn refusal(status: u16, param: Option<&str>, text: &str) -> RequestError {
        RequestError {
            param: param.map(str::to_owned),
            ..RequestError::new(RequestErrorKind::Status(status), text, "")
        }
    }

    #[test]
    fn what_servers_say_of_a_parameter() {
        #[rustfmt::skip]
        let table = [
            (400, Some("temperature"), "Unsupported value", Some(Param::Temperature)),
            (400, None, "Unsupported value: 'temperature' does not support 0.16 with this model.", Some(Param::Temperature)),
            (400, None, "Unrecognized request argument supplied: seed", Some(Param::Seed)),
            (400, None, "`temperature` is deprecated for this model.", Some(Param::Temperature)),
            (422, None, r#"[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"}]"#, Some(Param::Seed)),
            (400, None, "Invalid JSON payload received. Unknown name \"n\": Cannot find field.", Some(Param::N)),
            // llama.cpp with one slot.
            (400, None, "Field 'n': Value must be between 1 <= value <= 1, but got 2", Some(Param::N)),
            (400, None, "temperature: Extra inputs are not permitted", None),
            (400, None, "body: temperature: Extra inputs are not permitted", Some(Param::Temperature)),
            // Not sent, so that leaving it out helps nothing.
            (400, Some("top_p"), "Unsupported parameter", None),
            (400, Some("messages"), "Invalid 'temperature' of the water in the picture", None),
            (400, None, "the picture 'n' does not decode", None),
            (400, None, "no", None),
            (500, Some("temperature"), "Unsupported value", None),
            (404, Some("model"), "no such model", None),
        ];
        for (status, param, text, expected) in table {
            let config = config();
            let taste = SupportedParams::new(&config).expect("nothing is known of it");
            let before = taste.now();
            let is_learnt = taste.learn(&config, None, &before, &refusal(status, param, text));
            assert_eq!(is_learnt, expected.is_some(), "{status} {param:?} {text}");
            for param in Param::ALL {
                assert_eq!(
                    before.takes(param) && !taste.now().takes(param),
                    Some(param) == expected,
                    "{text} {param:?}"
                );
            }
            let again = taste.learn(&config, None, &taste.now(), &refusal(status, param, text));
            assert!(!again, "a parameter is dropped once: {text}");
        }
    }

    #[test]
    fn the_limit_of_tokens_is_renamed_before_it_is_dropped() {
        let config = config();
        let taste = SupportedParams::new(&config).expect("nothing is known of it");
        let text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        let refusal = refusal(400, Some("max_tokens"), text);
        assert!(taste.learn(&config, None, &taste.now(), &refusal));
        assert_eq!((taste.now().max_tokens_key, taste.now().takes(Param::MaxTokens)), (Some(NEW_MAX_TOKENS), true));
        assert!(taste.learn(&config, None, &taste.now(), &refusal));
        assert!(!taste.now().takes(Param::MaxTokens));
        assert_eq!(taste.now().dropped_names(&config, None), ["max_tokens"]);
    }

    #[test]
    fn what_is_known_is_left_out_before_it_is_sent_or_refused_where_nothing_may_be() {
        let providers = super::super::provider::Providers::default();
        let anthropic = providers.get("anthropic").expect("a row").clone();
        let strange = config();
        let config = ChatConfig::with_provider(anthropic, strange.server.clone(), "claude-opus-5");
        let config = ChatConfig { params: strange.params.clone(), ..config };
        let taste = SupportedParams::new(&config).expect("it may leave things out");
        assert_eq!(taste.now().dropped_names(&config, None), ["n", "seed", "temperature"]);
        let error =
            SupportedParams::new(&ChatConfig { strict_params: true, ..config }).expect_err("strict").to_string();
        assert_eq!(error, "--n: claude-opus-5 does not take it; leave out --n or --strict-params");
        let strict = ChatConfig { strict_params: true, ..strange };
        let taste = SupportedParams::new(&strict).expect("nothing is known of it");
        assert!(!taste.learn(&strict, None, &taste.now(), &refusal(400, Some("n"), "no")));
    }
}
