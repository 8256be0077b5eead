//! Ranges of addresses.

use std::net::{IpAddr, Ipv6Addr};

use keyfold_domain::addresses::{AddressRange, read_ranges};

/// A text is a range where a plain reading finds one, and holds the addresses whose first bits are its own.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read: Option<AddressRange> = text.parse().ok();
    let plain = plainly(&text);
    assert_eq!(read.is_some(), plain.is_some(), "{text:?}");
    // A list may hold anything; where it is read, it is read again from what it shows.
    if let Ok(list) = read_ranges(&text) {
        let shown: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(read_ranges(&shown.join("\n")).ok(), Some(list), "{text:?}");
    }
    let (Some(range), Some(plain)) = (read, plain) else { return };
    assert_eq!(range.to_string().parse::<AddressRange>(), Ok(range), "{text:?}");
    assert!(range.covers(range));
    let noise = data.iter().fold(0u128, |sum, byte| sum.rotate_left(11) ^ u128::from(*byte));
    for near in [0, 1, 8, 96, 120, 128] {
        let asked = plain.first ^ noise.checked_shr(near).unwrap_or(0);
        let asked = IpAddr::from(Ipv6Addr::from_bits(asked)).to_canonical();
        assert_eq!(range.net().contains(&asked), plain.holds(asked), "{text:?} {asked}");
    }
}

/// A range as numbers, IPv4 within IPv6.
struct Plain {
    first: u128,
    mask: u128,
    is_old: bool,
}

impl Plain {
    fn holds(&self, asked: IpAddr) -> bool {
        let bits = bits(asked);
        asked.is_ipv4() == self.is_old && bits & self.mask == self.first
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn plainly(text: &str) -> Option<Plain> {
    let (address, prefix) = text.trim().split_once('/').map_or((text.trim(), None), |(address, prefix)| (address, Some(prefix)));
    let ip: IpAddr = address.parse().ok()?;
    let upper = if ip.is_ipv4() { 96 } else { 0 };
    let prefix = match prefix {
        None => 128,
        // As a number is written, and in no other way.
        Some(digits) => upper + (0..=128 - upper).find(|number: &u32| number.to_string() == digits)?,
    };
    let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
    let first = bits(ip);
    let is_old = prefix >= 96 && Ipv6Addr::from_bits(first).to_ipv4_mapped().is_some();
    (first & !mask == 0).then_some(Plain { first, mask, is_old })
}
