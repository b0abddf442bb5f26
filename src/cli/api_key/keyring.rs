//! A key in the desktop's keyring: the freedesktop Secret Service, which GNOME's and KDE's speak.

use std::collections::HashMap;

use dbus_secret_service::{EncryptionType, Error as Fault, SecretService};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use vidgist::error::{Error, Result};

use super::{MAX_KEY_BYTES, PATIENCE, PromptedWork};

/// The configuration's key, which errors name.
const NAME: &str = "api_key_keyring";
/// The attribute `service` of each of our entries.
const SERVICE: &str = "vidgist";

/// The secret of the entry with the attributes `service vidgist` and `username` of this value; a locked keyring asks the
/// user.
pub(super) fn key(username: &str) -> Result<SecretString> {
    let bad = |problem: String| {
        let advice = format!("store it by: secret-tool store --label=vidgist service {SERVICE} username {username}");
        Error::usage(format!("{NAME} ({username})"), problem, advice)
    };
    let owned = username.to_owned();
    let found = PromptedWork::begin(move || read(&owned)).wait(PATIENCE);
    let found = found.ok_or_else(|| bad(format!("the keyring has not answered after {} s", PATIENCE.as_secs())))?;
    let secret = found.map_err(|fault| match fault {
        Fault::NoResult => bad("the keyring holds no such entry".to_owned()),
        Fault::Locked | Fault::Prompt => bad("the keyring is locked".to_owned()),
        Fault::Unavailable | Fault::Dbus(_) => bad("no keyring (Secret Service) runs in this session".to_owned()),
        other => bad(format!("the keyring does not give it: {other}")),
    })?;
    if secret.len() > MAX_KEY_BYTES {
        return Err(bad(format!("the entry holds more than {MAX_KEY_BYTES} bytes")));
    }
    match std::str::from_utf8(&secret).map(str::trim) {
        Ok("") => Err(bad("the entry is empty".to_owned())),
        Ok(key) => Ok(SecretString::from(key)),
        Err(_) => Err(bad("the entry is no text".to_owned())),
    }
}

fn read(username: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let service = SecretService::connect_with_max_prompt_timeout(EncryptionType::Dh, PATIENCE.as_secs())?;
    let found = service.search_items(HashMap::from([("service", SERVICE), ("username", username)]))?;
    let item = found.unlocked.first().or(found.locked.first()).ok_or(Fault::NoResult)?;
    item.ensure_unlocked()?;
    item.get_secret().map(Zeroizing::new)
}
