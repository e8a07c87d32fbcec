use super::Refusal;

/// Bytes that no target has.
const MALFORMED: u8 = 1;

/// Bytes that a segment of dots is written with, as it is or disguised.
const DOTTED: u8 = 2;

/// One load instead of several comparisons for each byte.
const KINDS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = match byte {
            b'.' | b'%' | b'\\' => DOTTED,
            b'#' => MALFORMED,
            _ if !byte.is_ascii_graphic() => MALFORMED,
            _ => 0,
        };
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// Refuses what can be no target. Everything else that is no URI is refused by hyper.
pub(super) fn check_characters(target: &[u8]) -> Result<(), Refusal> {
    let kinds = kinds(target);
    if target.is_empty() || kinds & MALFORMED > 0 {
        return Err(Refusal::bad("the request line is malformed"));
    }
    if kinds & DOTTED > 0 { check_segments(target) } else { Ok(()) }
}

/// Refuses a path that a backend could take for another one than the router has matched: with segments of dots, which
/// some resolve and others don't, or a backslash, which some take for a slash. Browsers send neither.
pub(crate) fn check_path(target: &[u8]) -> Result<(), Refusal> {
    if kinds(target) & DOTTED > 0 { check_segments(target) } else { Ok(()) }
}

fn kinds(target: &[u8]) -> u8 {
    target.iter().fold(0, |kinds, &byte| kinds | KINDS[usize::from(byte)])
}

fn check_segments(target: &[u8]) -> Result<(), Refusal> {
    const AMBIGUOUS: Refusal = Refusal::bad("the path must have no backslash and no segment of dots");
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    if path.contains(&b'\\') {
        return Err(AMBIGUOUS);
    }
    // Dots since the last slash, as long as there was nothing else.
    let (mut rest, mut dots) = (path, None);
    while let Some((byte, next)) = unescaped(rest) {
        dots = match (byte, dots) {
            // Some servers leave out what follows a semicolon before they look at the segment.
            (b'/' | b';', Some(1 | 2)) => return Err(AMBIGUOUS),
            (b'/', _) => Some(0),
            (b'.', Some(dots)) => Some(3.min(dots + 1)),
            _ => None,
        };
        rest = next;
    }
    if matches!(dots, Some(1 | 2)) { Err(AMBIGUOUS) } else { Ok(()) }
}

/// The first byte of a path, where dots and slashes of both kinds may be escaped, and what follows it.
fn unescaped(path: &[u8]) -> Option<(u8, &[u8])> {
    match path {
        [b'%', b'2', b'e' | b'E', rest @ ..] => Some((b'.', rest)),
        [b'%', b'2', b'f' | b'F', rest @ ..] | [b'%', b'5', b'c' | b'C', rest @ ..] => Some((b'/', rest)),
        [byte, rest @ ..] => Some((*byte, rest)),
        [] => None,
    }
}

/// The four forms of RFC 9112 §3.2, without that of CONNECT. An absolute target must name the same host.
pub(super) fn check_form(method: &[u8], target: &[u8], host: Option<&[u8]>) -> Result<(), Refusal> {
    if target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS") {
        return Ok(());
    }
    let scheme_end = target.windows(3).position(|three| three == b"://").unwrap_or_default();
    let scheme = target.get(..scheme_end).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(Refusal::bad("the target must be a path or a whole http URI"));
    }
    let rest = target.get(scheme_end + 3..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    if !is_authority(authority) || host.is_some_and(|host| !host.eq_ignore_ascii_case(authority)) {
        return Err(Refusal::bad("the target and the Host header disagree"));
    }
    // It means the whole server (RFC 9112 §3.2.4), and would be read as the path "/".
    if method == b"OPTIONS" && rest.len() == authority.len() {
        return Err(Refusal::bad("OPTIONS for a whole server has the target *"));
    }
    Ok(())
}

/// A host name, IPv4 address or IPv6 address in brackets, with or without a port; no user, no path.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let (host, port) = match text.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !text.ends_with(b"]") => (text.get(..colon), text.get(colon + 1..)),
        _ => (Some(text), None),
    };
    let host = host.unwrap_or_default();
    let is_host = match host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
        Some(address) => {
            std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
        }
        None => {
            (1..=255).contains(&host.len())
                && host
                    .iter()
                    .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
        }
    };
    is_host && port.is_none_or(|port| port.len() <= 5 && port.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn segments_of_dots_are_no_names() {
        for path in ["/..", "/a/./b", "/%2e%2E/", "/.%2e;x/a", "/a%2f..%5Cb", "/\\", "http://a/../b", "/..?a"]
        {
            assert!(check_path(path.as_bytes()).is_err(), "{path}");
            assert!(check_characters(path.as_bytes()).is_err(), "{path}");
        }
        for path in ["/", "/..a/b..", "/...", "/.a", "/%2e%2e%2e", "/a%2fb", "/a?/../\\", "//a", "*", "/;./%"]
        {
            assert_eq!(check_path(path.as_bytes()), Ok(()), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_target_or_refused(target in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = check_path(&target);
            let _ = check_form(b"GET", &target, Some(b"a"));
            if check_characters(&target).is_ok() {
                prop_assert!(target.iter().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
