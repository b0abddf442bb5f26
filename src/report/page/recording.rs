//! The address by which a page plays a recording on this machine.

use std::path::Path;

use url::Url;

use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};

/// The address of a file, percent-encoded: relative to the folder of the page where it has one, else absolute.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file or the folder does not exist.
pub(crate) fn address(recording: &Path, folder: Option<&Path>) -> Result<String> {
    let canonical = |path: &Path| path.canonicalize().map_err(|error| Error::io(path, error));
    let no_address = || {
        let problem = "has no address that a page could play";
        Error::usage(recording.display(), problem, Advice::Unset(Setting::LinkMedia))
    };
    let recording_url = Url::from_file_path(canonical(recording)?).map_err(|()| no_address())?;
    let Some(folder) = folder else { return Ok(recording_url.into()) };
    let folder_url = Url::from_directory_path(canonical(folder)?).map_err(|()| no_address())?;
    // Without the dot, `12:30.mp4` would be an address of the scheme `12`.
    Ok(match folder_url.make_relative(&recording_url) {
        Some(relative) if relative.starts_with("../") => relative,
        Some(relative) => format!("./{relative}"),
        None => recording_url.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn addresses_are_relative_and_percent_encoded() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().canonicalize().expect("a folder");
        let name = "12:30 \"50% #1?\" </script>\u{e9}.mp4".replace('/', "_");
        std::fs::create_dir(root.join("out")).expect("a folder");
        std::fs::write(root.join(&name), b"").expect("a file");
        let encoded = "12:30%20%2250%25%20%231%3F%22%20%3C_script%3E%C3%A9.mp4";
        let file = root.join(&name);
        assert_eq!(address(&file, Some(&root.join("out"))).expect("an address"), format!("../{encoded}"));
        assert_eq!(address(&file, Some(&root)).expect("an address"), format!("./{encoded}"));
        let absolute = address(&file, None).expect("an address");
        let root_url = Url::from_directory_path(&root).expect("an absolute folder");
        assert_eq!(absolute, format!("{root_url}{encoded}"));
        assert!(absolute.starts_with("file:///"), "{absolute}");
        for (absent, folder) in
            [("absent.mp4", None), ("absent.mp4", Some(&root)), (&*name, Some(&root.join("absent")))]
        {
            let error = address(&root.join(absent), folder.map(PathBuf::as_path)).expect_err("nothing is there");
            assert_eq!(error.kind, ErrorKind::Io, "{error}");
        }
    }
}
