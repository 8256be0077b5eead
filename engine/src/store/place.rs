//! Where a database file lies: on a disk of this machine, with room left.

use std::io;
use std::path::Path;

use rustix::fs::{statfs, statvfs};

/// Below this much room, in bytes, an operator should act.
const LITTLE_ROOM: u64 = 256 * 1024 * 1024;
/// Below this part of the disk, too: one in so many.
const LITTLE_PART: u64 = 20;

/// File systems whose locks or shared memory do not hold between processes, by the numbers of statfs(2). SQLite's WAL
/// needs both (<https://www.sqlite.org/wal.html>, "all processes … must be on the same host computer").
const NETWORK: [(i64, &str); 11] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
];

/// The name of the network file system that a file or its folder lies on, if it is one.
///
/// # Errors
/// If the folder is not there or may not be looked at.
pub(crate) fn network_file_system(file: &Path) -> io::Result<Option<&'static str>> {
    Ok(name_of(statfs(folder(file))?.f_type))
}

fn name_of(kind: i64) -> Option<&'static str> {
    // Numbers of 32 bits, of which the first may have been taken for a sign on the way.
    let kind = kind & 0xffff_ffff;
    NETWORK.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

/// A word to the operator if the disk of a file is nearly full.
///
/// # Errors
/// If the folder is not there or may not be looked at.
pub(crate) fn lack_of_room(file: &Path) -> io::Result<Option<String>> {
    let disk = statvfs(folder(file))?;
    Ok(lack(disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize)))
}

fn lack(free: u64, all: u64) -> Option<String> {
    (free < LITTLE_ROOM || free < all / LITTLE_PART).then(|| format!("the disk of the database has only {} MiB left", free >> 20))
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_file_system_is_known_by_its_number_also_as_a_signed_one() {
        assert_eq!(name_of(0x6969), Some("NFS"));
        assert_eq!(name_of(0xff53_4d42), Some("CIFS"));
        assert_eq!(name_of(i64::from(0xff53_4d42_u32.cast_signed())), Some("CIFS"));
        for local in [0xef53, 0x9123_683e, 0x5846_5342, 0x0102_1994, 0x794c_7630] {
            assert_eq!(name_of(local), None);
        }
    }

    #[test]
    fn the_folder_of_a_file_is_looked_at_and_the_file_need_not_be_there() {
        let here = tempfile::tempdir().unwrap();
        assert_eq!(network_file_system(&here.path().join("keyfold.db")).unwrap(), None);
        assert_eq!(folder(Path::new("keyfold.db")), Path::new("."));
        assert!(network_file_system(&here.path().join("missing/keyfold.db")).is_err());
    }

    #[test]
    fn little_room_is_little_in_bytes_or_of_the_whole() {
        let gib = 1 << 30;
        assert_eq!(lack(gib, 4 * gib), None);
        assert_eq!(lack(gib, 100 * gib).unwrap(), "the disk of the database has only 1024 MiB left");
        assert_eq!(lack(LITTLE_ROOM - 1, gib).unwrap(), "the disk of the database has only 255 MiB left");
    }
}
