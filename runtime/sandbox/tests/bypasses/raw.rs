//! System calls as an attacker makes them: by number, past libc's wrappers. Safe to call only because the process
//! that calls is thrown away right after; nothing here knows what is allowed.

use std::ffi::{CString, c_long};

use crate::table::Answer;

/// Makes a call; arguments are numbers or the addresses of values that the caller keeps.
pub fn call(number: c_long, arguments: &[usize]) -> Result<i64, i32> {
    let mut all = [0usize; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let [first, second, third, fourth, fifth, sixth] = all;
    // SAFETY: every address handed in belongs to a value that its caller keeps until the call is over, and no call
    // made here takes away memory that Rust still uses.
    let result = unsafe { libc::syscall(number, first, second, third, fourth, fifth, sixth) };
    if result == -1 { Err(std::io::Error::last_os_error().raw_os_error().unwrap_or_default()) } else { Ok(result) }
}

/// A call's result as an attack's answer: performed at all is too much.
pub fn done(result: Result<i64, i32>) -> Answer {
    result.map(|value| format!("the call was performed and returned {value}"))
}

/// A signed number as an argument.
pub const fn number(value: i32) -> usize {
    value as isize as usize
}

/// A descriptor as an argument.
pub const fn descriptor(value: i64) -> usize {
    value as usize
}

/// The address of a value.
pub fn at<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<u8>() as usize
}

/// The address of a value that the kernel writes.
pub fn at_mut<T: ?Sized>(value: &mut T) -> usize {
    std::ptr::from_mut(value).cast::<u8>() as usize
}

/// A text as the kernel reads it.
pub fn text(text: &str) -> CString {
    CString::new(text).expect("no path or name here holds a NUL")
}

/// The working directory, where a call takes a descriptor of a folder.
pub const HERE: usize = number(libc::AT_FDCWD);

/// Opens a path.
pub fn open(path: &str, flags: i32) -> Result<i64, i32> {
    open_below(i64::from(libc::AT_FDCWD), path, flags)
}

/// Opens a path below a descriptor; what it creates is executable.
pub fn open_below(folder: i64, path: &str, flags: i32) -> Result<i64, i32> {
    let path = text(path);
    call(libc::SYS_openat, &[descriptor(folder), at(path.as_c_str()), number(flags), 0o755])
}

/// A call on one path, after the working directory where the call takes one.
pub fn on_path(number: c_long, before: &[usize], path: &str, after: &[usize]) -> Result<i64, i32> {
    let path = text(path);
    let mut arguments = before.to_vec();
    arguments.push(at(path.as_c_str()));
    arguments.extend(after);
    call(number, &arguments)
}

/// A call on two paths, each after the working directory.
pub fn on_paths(number: c_long, old: &str, new: &str) -> Result<i64, i32> {
    let (old, new) = (text(old), text(new));
    call(number, &[HERE, at(old.as_c_str()), HERE, at(new.as_c_str()), 0])
}

/// Writes to a descriptor.
pub fn write(to: i64, bytes: &[u8]) -> Result<i64, i32> {
    call(libc::SYS_write, &[descriptor(to), at(bytes), bytes.len()])
}

/// Makes a socket.
pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<i64, i32> {
    call(libc::SYS_socket, &[number(family), number(kind), number(protocol)])
}

/// Connects a socket.
pub fn connect(socket: i64, address: &[u8]) -> Result<i64, i32> {
    call(libc::SYS_connect, &[descriptor(socket), at(address), address.len()])
}

/// Binds a socket.
pub fn bind(socket: i64, address: &[u8]) -> Result<i64, i32> {
    call(libc::SYS_bind, &[descriptor(socket), at(address), address.len()])
}

/// Sends one byte to an address by sendto(2).
pub fn send_to(socket: i64, flags: i32, address: &[u8]) -> Result<i64, i32> {
    let bytes = *b"x";
    call(libc::SYS_sendto, &[descriptor(socket), at(&bytes), 1, number(flags), name(address), address.len()])
}

/// Sends one byte by sendmsg(2), to an address unless it is empty.
pub fn send_message(socket: i64, flags: i32, address: &[u8]) -> Result<i64, i32> {
    let bytes = *b"x";
    let parts = [at(&bytes), 1];
    let message = message(&parts, address);
    call(libc::SYS_sendmsg, &[descriptor(socket), at(&message), number(flags)])
}

/// Sends one byte by sendmmsg(2).
pub fn send_messages(socket: i64, flags: i32, address: &[u8]) -> Result<i64, i32> {
    let bytes = *b"x";
    let parts = [at(&bytes), 1];
    // struct mmsghdr: the message, then the length that was sent.
    let mut messages = [0usize; 8];
    messages[..7].copy_from_slice(&message(&parts, address));
    call(libc::SYS_sendmmsg, &[descriptor(socket), at_mut(&mut messages), 1, number(flags)])
}

/// struct msghdr in words, as on every 64-bit machine (recvmsg(2)).
pub fn message(parts: &[usize; 2], address: &[u8]) -> [usize; 7] {
    [name(address), address.len(), at(parts), 1, 0, 0, 0]
}

fn name(address: &[u8]) -> usize {
    if address.is_empty() { 0 } else { at(address) }
}

/// struct sockaddr_in of a loopback port (ip(7)).
pub fn loopback(port: u16) -> [u8; 16] {
    let mut address = [0; 16];
    address[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    address[2..4].copy_from_slice(&port.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    address
}

/// struct sockaddr_un of a path (unix(7)).
pub fn unix_path(path: &str) -> Vec<u8> {
    let mut address = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
    address.extend(path.as_bytes());
    address.push(0);
    address
}

/// struct sockaddr_un of an abstract name (unix(7)).
pub fn unix_abstract(name: &str) -> Vec<u8> {
    let mut address = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
    address.push(0);
    address.extend(name.as_bytes());
    address
}

/// A pair of sockets.
pub fn pair(family: i32, kind: i32) -> Result<[i64; 2], i32> {
    let mut pair = [0i32; 2];
    call(libc::SYS_socketpair, &[number(family), number(kind), 0, at_mut(&mut pair)])?;
    Ok(pair.map(i64::from))
}

/// Executes a program with arguments and no environment; comes back only when refused.
pub fn execute(program: &str, arguments: &[&str]) -> Result<i64, i32> {
    let program = text(program);
    let arguments: Vec<CString> = arguments.iter().map(|argument| text(argument)).collect();
    let vector: Vec<usize> = arguments.iter().map(|argument| at(argument.as_c_str())).chain([0]).collect();
    let environment = [0usize];
    call(libc::SYS_execve, &[at(program.as_c_str()), at(vector.as_slice()), at(&environment)])
}

/// Ends this process at once, as a child that an attack should not have got must.
pub fn leave() -> ! {
    // SAFETY: ends the process without running anything of it.
    unsafe { libc::_exit(0) }
}
