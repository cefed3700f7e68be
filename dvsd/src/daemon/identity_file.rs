// SPDX-License-Identifier: GPL-3.0-or-later
//! The identity's key file: made once, never replaced, refused when others could read it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use dvsd::crypto::identity::{Identity, KeyFileError, KeyKind};
use dvsd::random::Random;
use zeroize::Zeroizing;

/// A PEM key is far smaller; whatever is larger is not one.
const MAX_FILE: u64 = 16 * 1024;

/// Loads the identity from `file`, or makes a new one of this `kind` there when the file does not exist.
pub(crate) fn load_or_create(file: &Path, kind: KeyKind, random: &mut Random) -> anyhow::Result<Identity> {
    match open(file) {
        Ok(handle) => load(file, handle),
        Err(error) if error.kind() == ErrorKind::NotFound => create(file, kind, random),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            bail!("the identity {} is a symbolic link; replace it by the key file itself", file.display())
        }
        Err(error) => Err(error).with_context(|| {
            format!("cannot open the identity {}; it must belong to the user that runs dvsd", file.display())
        }),
    }
}

fn open(file: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(file)
}

fn load(file: &Path, handle: File) -> anyhow::Result<Identity> {
    let metadata = handle.metadata().with_context(|| format!("cannot examine {}", file.display()))?;
    let mode = metadata.mode() & 0o777;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        bail!("the identity {} is not a key file", file.display());
    }
    if mode & 0o077 != 0 {
        bail!(
            "the identity {file} can be read by others (mode {mode:04o}); if nobody has copied it, run: chmod 600 {file}",
            file = file.display()
        );
    }
    let mut pem = Zeroizing::new(Vec::new());
    handle.take(MAX_FILE).read_to_end(&mut pem).with_context(|| format!("cannot read {}", file.display()))?;
    Identity::from_pem(&pem).map_err(|error| {
        let file = file.display();
        let what = match error {
            KeyFileError::Unsupported => {
                format!("the identity {file} cannot be used; move it away to start with a new ID")
            }
            _ => format!(
                "the identity {file} is damaged; restore it from your backup, or move it away to start with a new ID"
            ),
        };
        anyhow::Error::new(error).context(what)
    })
}

fn create(file: &Path, kind: KeyKind, random: &mut Random) -> anyhow::Result<Identity> {
    let identity = Identity::generate(kind, random).context("cannot generate an identity")?;
    let pem = identity.to_pem().context("cannot write down the identity")?;
    write_new(file, &pem).with_context(|| format!("cannot create the identity {}", file.display()))?;
    tracing::info!(file = %file.display(), id = %identity.public().id(), algorithm = %kind, "made a new identity");
    Ok(identity)
}

/// Writes a new file completely or not at all: under another name first, then linked, which never replaces.
fn write_new(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = file.with_extension("new");
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut handle = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    handle.write_all(bytes)?;
    handle.sync_all()?;
    std::fs::hard_link(&temporary, file)?;
    std::fs::remove_file(&temporary)?;
    match file.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn random() -> Random {
        Random::seeded(1)
    }

    fn message(outcome: anyhow::Result<Identity>) -> String {
        format!("{:#}", outcome.err().unwrap())
    }

    #[test]
    fn an_identity_is_made_once_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("identity.pem");
        let made = load_or_create(&file, KeyKind::P256, &mut random()).unwrap();
        let found = load_or_create(&file, KeyKind::P256, &mut Random::seeded(2)).unwrap();
        assert_eq!(made.public().id(), found.public().id());
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn f31_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("identity.pem");
        load_or_create(&file, KeyKind::P256, &mut random()).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(message(load_or_create(&file, KeyKind::P256, &mut random())).contains("chmod 600"));
    }

    #[test]
    fn a_damaged_key_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("identity.pem");
        load_or_create(&file, KeyKind::P256, &mut random()).unwrap();
        let mut pem = std::fs::read(&file).unwrap();
        pem.truncate(pem.len() / 2);
        std::fs::write(&file, &pem).unwrap();
        assert!(message(load_or_create(&file, KeyKind::P256, &mut random())).contains("damaged"));
        assert_eq!(std::fs::read(&file).unwrap(), pem);
    }

    #[test]
    fn a_new_identity_is_of_the_kind_asked_for_and_an_old_one_stays_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        for kind in [KeyKind::P521, KeyKind::Ed448, KeyKind::Rsa2048] {
            let file = directory.path().join(kind.to_string());
            let made = load_or_create(&file, kind, &mut random()).unwrap();
            let found = load_or_create(&file, KeyKind::P256, &mut random()).unwrap();
            assert_eq!((made.public().kind(), found.public()), (kind, made.public()));
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("identity.pem");
        let pem = "\
            -----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VuBCIEIEiOksLObSHRCM3pcFT0vMzuQAGtlXfvqSe3L7P0ZyZF\n\
            -----END PRIVATE KEY-----\n";
        std::fs::write(&file, pem).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        let message = message(load_or_create(&file, KeyKind::P256, &mut random()));
        assert!(message.contains("cannot be used") && message.contains("not supported: use EC P-256"), "{message}");
    }

    #[test]
    fn a_symbolic_link_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("identity.pem");
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert!(message(load_or_create(&file, KeyKind::P256, &mut random())).contains("symbolic link"));
    }
}
