//! Which parameters a model supports: unsupported ones are dropped in advance where that is known, and otherwise after the
//! server has refused them. What is learnt applies to all later requests.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::config::ChatConfig;
use super::params::ResponseFormat;
use crate::advice::{Advice, Setting};
use crate::error::{Error, ErrorCode, Result};
use crate::http::{RequestError, RequestErrorKind};

/// The newer name of the token limit in `OpenAI`'s API.
const NEW_MAX_TOKENS: &str = "max_completion_tokens";

/// A field of a request other than model and messages.
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

    /// The setting behind it; None where it has none.
    fn setting(self) -> Option<Setting> {
        match self {
            Self::Detail => Some(Setting::Detail),
            Self::MaxTokens => Some(Setting::MaxTokens),
            Self::N => Some(Setting::NChoices),
            Self::ReasoningEffort => Some(Setting::ReasoningEffort),
            Self::Seed => Some(Setting::Seed),
            Self::Stop => Some(Setting::Stop),
            Self::Temperature => Some(Setting::Temperature),
            Self::TopP => Some(Setting::TopP),
            Self::ResponseFormat | Self::Store | Self::StreamOptions => None,
        }
    }

    /// The name in messages.
    fn label(self) -> String {
        match self {
            Self::ResponseFormat => "the JSON schema".to_owned(),
            other => other.setting().map_or_else(|| other.names()[0].to_owned(), |setting| setting.to_string()),
        }
    }

    /// Whether the caller sets it.
    fn is_set(self, config: &ChatConfig, format: Option<&ResponseFormat>) -> bool {
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

/// The parameters that are sent, and under which name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AcceptedParams {
    dropped: BTreeSet<Param>,
    /// Whether the text of the system message goes into the user message.
    pub folds_system: bool,
    /// Whether the server or the model has no tool calls.
    pub refuses_tools: bool,
    /// The name of the token limit that the server required.
    pub max_tokens_key: Option<&'static str>,
}

impl AcceptedParams {
    /// Whether a parameter may be sent.
    pub fn takes(&self, param: Param) -> bool {
        !self.dropped.contains(&param)
    }

    /// The names of the parameters that are set but not sent.
    pub fn dropped_names(&self, config: &ChatConfig, format: Option<&ResponseFormat>) -> Vec<String> {
        let asked = self.dropped.iter().filter(|param| param.is_set(config, format));
        asked.map(|param| param.names()[0].to_owned()).collect()
    }
}

/// What is known about a model's parameters. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct SupportedParams {
    accepted: Arc<Mutex<AcceptedParams>>,
}

impl SupportedParams {
    /// Drops the parameters that the tables list as unsupported.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where a dropped parameter is set and `strict_params` is on.
    pub fn new(config: &ChatConfig) -> Result<Self> {
        let has_sampling = config.facts.as_ref().is_none_or(|facts| facts.sampling);
        let is_refused = |param: &Param| {
            config.provider.refused.iter().any(|name| param.names().contains(&name.as_str()))
                || (!has_sampling && matches!(param, Param::Temperature | Param::TopP))
                || (*param == Param::Store && !config.provider.takes_store)
                || (*param == Param::Seed && config.provider.seed_key.is_empty())
        };
        let dropped: BTreeSet<Param> = Param::ALL.into_iter().filter(is_refused).collect();
        for param in dropped.iter().filter(|param| param.is_set(config, None)) {
            let model = &config.model;
            if let Some(setting) = param.setting().filter(|_| config.strict_params) {
                let advice = Advice::Unset(setting).or(Advice::Unset(Setting::StrictParams));
                return Err(Error::setting(setting, format!("{model} does not support it"), advice));
            }
            tracing::warn!("{} is not sent: {model} does not support it", param.label());
        }
        let refuses_tools = config.provider.refused.iter().any(|name| name == "tools");
        let accepted = AcceptedParams { dropped, refuses_tools, ..AcceptedParams::default() };
        Ok(Self { accepted: Arc::new(Mutex::new(accepted)) })
    }

    /// The current knowledge.
    pub fn current(&self) -> AcceptedParams {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, AcceptedParams> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns from a refused request with tools. Returns whether it was refused for its tools. It is not sent again without
    /// them: the caller must word the request in another way.
    pub fn learn_tools(&self, config: &ChatConfig, failure: &RequestError) -> bool {
        let is_about_tools = failure.code == ErrorCode::ToolsUnsupported
            || (is_refusal(failure) && is_named(&["tools", "tool_choice"], failure));
        if is_about_tools && !std::mem::replace(&mut self.lock().refuses_tools, true) {
            tracing::warn!("{}: tool calls are not supported ({})", config.model, failure.problem);
        }
        is_about_tools
    }

    /// Learns from a refused request that was sent with `sent`. Returns whether to send it again.
    pub fn learn(
        &self,
        config: &ChatConfig,
        format: Option<&ResponseFormat>,
        sent: &AcceptedParams,
        failure: &RequestError,
    ) -> bool {
        if failure.details.as_ref().is_some_and(|details| details.has_no_system_role) {
            let was_known = std::mem::replace(&mut self.lock().folds_system, true);
            if !was_known {
                tracing::warn!("{}: no system role; its text is sent in the user message", config.model);
            }
            return !sent.folds_system;
        }
        if !is_refusal(failure) || config.strict_params {
            return false;
        }
        let was_sent = |param: &Param| {
            let is_ours = matches!(param, Param::Store | Param::StreamOptions);
            sent.takes(*param) && (is_ours || param.is_set(config, format))
        };
        let mut known = self.lock();
        let Some(param) = Param::ALL.into_iter().filter(was_sent).find(|param| is_named(param.names(), failure)) else {
            return false;
        };
        let uses_old_name = sent.max_tokens_key.is_none() && config.provider.max_tokens_key != NEW_MAX_TOKENS;
        if param == Param::MaxTokens && uses_old_name && failure.problem.contains(NEW_MAX_TOKENS) {
            known.max_tokens_key = Some(NEW_MAX_TOKENS);
            tracing::info!("{}: uses {NEW_MAX_TOKENS} for the token limit", config.model);
            return true;
        }
        if known.dropped.insert(param) {
            let (label, model) = (param.label(), &config.model);
            tracing::warn!("{label} is no longer sent: {model} does not support it ({})", failure.problem);
        }
        true
    }
}

fn is_refusal(failure: &RequestError) -> bool {
    matches!(failure.kind, RequestErrorKind::Status(400 | 422))
}

/// Whether a refusal is about the parameter with these names: the server names it in a separate field, or quotes it in a message that it is
/// unsupported.
fn is_named(names: &[&str], failure: &RequestError) -> bool {
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
    let of_field = |name: &str| failure.param().is_some_and(|field| is_part(field, name));
    let text = failure.problem.to_ascii_lowercase();
    let is_about = WORDS.iter().any(|word| text.contains(word));
    let in_text = |name: &str| {
        let quoted = ["'", "\"", "`"].iter().any(|mark| text.contains(&format!("{mark}{name}{mark}")));
        quoted || text.contains(&format!("supplied: {name}")) || text.contains(&format!(" {name}: "))
    };
    names.iter().any(|name| of_field(name) || (failure.param().is_none() && is_about && in_text(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{RefusalDetails, ServerConfig, parse_base_url};
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
        let details = RefusalDetails { param: param.map(str::to_owned), ..RefusalDetails::default() };
        let failure = RequestError::new(RequestErrorKind::Status(status), text, "");
        RequestError { details: Some(Box::new(details)), ..failure }
    }

    #[test]
    fn refusals_of_several_servers_are_recognized() {
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
            // Not sent, so dropping it does not help.
            (400, Some("top_p"), "Unsupported parameter", None),
            (400, Some("messages"), "Invalid 'temperature' of the water in the picture", None),
            (400, None, "the picture 'n' does not decode", None),
            (400, None, "no", None),
            (500, Some("temperature"), "Unsupported value", None),
            (404, Some("model"), "no such model", None),
        ];
        for (status, param, text, expected) in table {
            let config = config();
            let supported = SupportedParams::new(&config).expect("an unknown model");
            let before = supported.current();
            let has_learnt = supported.learn(&config, None, &before, &refusal(status, param, text));
            assert_eq!(has_learnt, expected.is_some(), "{status} {param:?} {text}");
            for param in Param::ALL {
                assert_eq!(
                    before.takes(param) && !supported.current().takes(param),
                    Some(param) == expected,
                    "{text} {param:?}"
                );
            }
            let again = supported.learn(&config, None, &supported.current(), &refusal(status, param, text));
            assert!(!again, "a parameter is dropped once: {text}");
        }
    }

    #[test]
    fn refusals_of_tools_are_learnt_and_nothing_is_dropped_for_them() {
        #[rustfmt::skip]
        let table = [
            (400, Some("tools"), "Unsupported parameter: 'tools' is not supported with this model.", true),
            (400, Some("tools[0].function.parameters"), "Invalid schema for function 'frames'", true),
            (400, None, r"[{'type': 'extra_forbidden', 'loc': ('body', 'tools'), 'msg': 'Extra inputs are not permitted'}]", true),
            (400, None, "Unrecognized request argument supplied: tools", true),
            (400, Some("temperature"), "Unsupported value", false),
            (400, None, "no", false),
            (429, Some("tools"), "slow down", false),
        ];
        for (status, param, text, expected) in table {
            let supported = SupportedParams::new(&config()).expect("an unknown model");
            assert_eq!(supported.learn_tools(&config(), &refusal(status, param, text)), expected, "{text}");
            let expected =
                AcceptedParams { refuses_tools: expected, ..SupportedParams::new(&config()).expect("sound").current() };
            assert_eq!(supported.current(), expected, "{text}");
        }
        let mut config = config();
        config.provider.refused.push("tools".into());
        assert!(SupportedParams::new(&config).expect("sound").current().refuses_tools);
    }

    #[test]
    fn the_token_limit_is_renamed_before_it_is_dropped() {
        let config = config();
        let supported = SupportedParams::new(&config).expect("an unknown model");
        let text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        let refusal = refusal(400, Some("max_tokens"), text);
        assert!(supported.learn(&config, None, &supported.current(), &refusal));
        assert_eq!(
            (supported.current().max_tokens_key, supported.current().takes(Param::MaxTokens)),
            (Some(NEW_MAX_TOKENS), true)
        );
        assert!(supported.learn(&config, None, &supported.current(), &refusal));
        assert!(!supported.current().takes(Param::MaxTokens));
        assert_eq!(supported.current().dropped_names(&config, None), ["max_tokens"]);
    }

    #[test]
    fn unsupported_parameters_are_dropped_or_an_error_in_strict_mode() {
        let providers = super::super::provider::Providers::default();
        let anthropic = providers.get("anthropic").expect("a row").clone();
        let unknown = config();
        let config = ChatConfig::with_provider(anthropic, unknown.server.clone(), "claude-opus-5");
        let config = ChatConfig { params: unknown.params.clone(), ..config };
        let supported = SupportedParams::new(&config).expect("parameters may be dropped");
        assert_eq!(supported.current().dropped_names(&config, None), ["n", "seed", "temperature"]);
        let error =
            SupportedParams::new(&ChatConfig { strict_params: true, ..config }).expect_err("strict").to_string();
        assert_eq!(
            error,
            "the number of choices: claude-opus-5 does not support it; leave out the number of choices, or leave out strict parameters"
        );
        let strict = ChatConfig { strict_params: true, ..unknown };
        let supported = SupportedParams::new(&strict).expect("an unknown model");
        assert!(!supported.learn(&strict, None, &supported.current(), &refusal(400, Some("n"), "no")));
    }
}
