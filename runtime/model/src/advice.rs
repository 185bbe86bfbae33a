//! The property-list lines that would grant a thing: shown by `check` and with every denial, ready to be pasted.
//! It changes no file and decides nothing.

use crate::grant::Access;

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
}
