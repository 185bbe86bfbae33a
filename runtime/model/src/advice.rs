//! The property-list lines that would grant a thing: shown by `check` and with every denial, ready to be pasted.
//! It changes no file and decides nothing.

use crate::grant::{Access, Endpoint, Grants, PathGrant};

/// The lines that grant a path at the same place in the job.
pub fn lines_for_path(path: &str, access: Access) -> String {
    let entry = match access {
        Access::ReadOnly => text(path),
        Access::Connect => return lines_for_unix(path),
        Access::ReadWrite | Access::Execute => format!(
            "\t\t<dict>\n\t\t\t<key>Path</key>\n\t\t\t<string>{path}</string>\n\
             \t\t\t<key>Access</key>\n\t\t\t<string>{}</string>\n\t\t</dict>\n",
            access.word(),
            path = escape(path),
        ),
    };
    grant("Paths", &entry)
}

/// The lines that grant a path at a place of its own in the job.
pub fn lines_for_grant(host: &str, guest: &str, access: Access) -> String {
    let entry = [("Path", host), ("GuestPath", guest), ("Access", access.word())]
        .map(|(key, value)| format!("\t\t\t<key>{key}</key>\n\t\t\t<string>{}</string>\n", escape(value)))
        .concat();
    grant("Paths", &format!("\t\t<dict>\n{entry}\t\t</dict>\n"))
}

/// The lines that grant connections to an endpoint.
pub fn lines_for_connect(url: &str) -> String {
    grant("Connect", &text(url))
}

/// The lines that grant connections to a Unix socket.
pub fn lines_for_unix(path: &str) -> String {
    lines_for_connect(&format!("unix://{path}"))
}

/// The lines that grant binding an address.
pub fn lines_for_bind(url: &str) -> String {
    grant("Bind", &text(url))
}

/// The lines that grant sockets of a kind, to reach out or to be reached; the addresses are to be filled in.
pub fn lines_for_socket_of(scheme: &str) -> String {
    let entries = |key: &str, url: &str| format!("\t<key>{key}</key>\n\t<array>\n{}\t</array>\n", text(url));
    let connect = entries("Connect", &format!("{scheme}://HOST:PORT"));
    let bind = entries("Bind", &format!("{scheme}://ADDRESS:PORT"));
    format!("<key>Grants</key>\n<dict>\n{connect}{bind}</dict>")
}

/// The lines that pass a host variable on.
pub fn lines_for_environment(name: &str) -> String {
    grant("Environment", &text(name))
}

/// The lines that set a limit; how much is to be filled in.
pub fn lines_for_limit(key: &str) -> String {
    format!("<key>Limits</key>\n<dict>\n\t<key>{key}</key>\n\t<integer>MORE</integer>\n</dict>")
}

/// The lines of all these grants, which take the place of a job's own.
pub fn lines_for_grants(grants: &Grants) -> String {
    let texts = |values: Vec<String>| values.iter().map(|value| text(value)).collect::<String>();
    let endpoints = |of: &[Endpoint]| texts(of.iter().map(ToString::to_string).collect());
    let lists = [
        ("Paths", grants.paths.iter().map(path_entry).collect::<String>()),
        ("Connect", endpoints(&grants.connect)),
        ("Bind", endpoints(&grants.bind)),
        ("Environment", texts(grants.environment.clone())),
        ("Users", texts(grants.users.clone())),
    ];
    let lists = lists.into_iter().filter(|(_, entries)| !entries.is_empty());
    let lists: String =
        lists.map(|(key, entries)| format!("\t<key>{key}</key>\n\t<array>\n{entries}\t</array>\n")).collect();
    let control = grants.control.map(|control| format!("\t<key>Control</key>\n\t<string>{control:?}</string>\n"));
    format!("<key>Grants</key>\n<dict>\n{lists}{}</dict>", control.unwrap_or_default())
}

/// The shortest form that says it.
fn path_entry(grant: &PathGrant) -> String {
    let elsewhere = grant.guest != grant.host;
    if !elsewhere && grant.access == Access::ReadOnly {
        return text(&grant.host);
    }
    let guest = elsewhere.then_some(("GuestPath", grant.guest.as_str()));
    let pairs = [("Path", grant.host.as_str())].into_iter().chain(guest).chain([("Access", grant.access.word())]);
    let pairs: String = pairs
        .map(|(key, value)| format!("\t\t\t<key>{key}</key>\n\t\t\t<string>{}</string>\n", escape(value)))
        .collect();
    format!("\t\t<dict>\n{pairs}\t\t</dict>\n")
}

/// The lines that make a TCP socket on which the job is reached, on this machine only.
pub fn lines_for_socket(port: &str) -> String {
    let port = escape(port);
    format!(
        "<key>Sockets</key>\n<dict>\n\t<key>Listener</key>\n\t<dict>\n\
         \t\t<key>SockNodeName</key>\n\t\t<string>127.0.0.1</string>\n\
         \t\t<key>SockServiceName</key>\n\t\t<string>{port}</string>\n\t</dict>\n</dict>"
    )
}

fn grant(key: &str, entry: &str) -> String {
    format!("<key>Grants</key>\n<dict>\n\t<key>{key}</key>\n\t<array>\n{entry}\t</array>\n</dict>")
}

fn text(value: &str) -> String {
    format!("\t\t<string>{}</string>\n", escape(value))
}

/// Text as XML content.
fn escape(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_ready_to_paste() {
        assert_eq!(
            lines_for_path("/a&b", Access::ReadOnly),
            "<key>Grants</key>\n<dict>\n\t<key>Paths</key>\n\t<array>\n\
             \t\t<string>/a&amp;b</string>\n\t</array>\n</dict>"
        );
        assert!(lines_for_path("/a", Access::ReadWrite).contains("<string>ReadWrite</string>"));
        assert!(lines_for_connect("tcp://[::1]:53").contains("<string>tcp://[::1]:53</string>"));
        assert!(lines_for_unix("/run/a&b").contains("<string>unix:///run/a&amp;b</string>"));
        assert!(lines_for_bind("udp://0.0.0.0:0").contains("<key>Bind</key>"));
        assert!(lines_for_socket("80").contains("<string>80</string>"));
        assert!(lines_for_environment("TZ").contains("<key>Environment</key>"));
    }

    #[test]
    fn the_lines_of_grants_are_read_as_the_same_grants() {
        let context = crate::spec::Context { folder: "/", home: "/home/me", uid: 1 };
        let job = |grants: &str| {
            let text = format!(
                "<plist version=\"1.0\"><dict><key>Label</key><string>a</string><key>Program</key>\
                 <string>/a</string>{grants}</dict></plist>"
            );
            let loaded = crate::spec::load(text.as_bytes(), &context);
            loaded.job.unwrap_or_else(|| panic!("{text}: {:?}", loaded.findings))
        };
        let path = |host: &str, guest: &str, access| PathGrant { host: host.into(), guest: guest.into(), access };
        let endpoints = |of: &[&str]| of.iter().map(|text| text.parse::<Endpoint>().unwrap()).collect::<Vec<_>>();
        let grants = Grants {
            paths: vec![
                path("/srv/a&b", "/srv/a&b", Access::ReadOnly),
                path("/srv/c", "/srv/c", Access::ReadWrite),
                path("/srv/d", "/e", Access::ReadOnly),
            ],
            connect: endpoints(&["tcp://[::1]:53", "https://x.example:443", "unix:///run/x"]),
            bind: endpoints(&["udp://0.0.0.0:0"]),
            environment: vec!["TZ".into()],
            users: vec!["@staff".into(), "1000".into()],
            control: Some(crate::grant::Control::Operate),
            ..Grants::default()
        };
        assert_eq!(job(&lines_for_grants(&grants)).grants, grants);
        assert_eq!(job(&lines_for_grants(&Grants::default())).grants, Grants::default());
    }
}
