//! Watches the making of sockets for denials: without any grant of its kind a socket is refused before an address
//! is named, so the address check never hears of it. What wasmtime-wasi answers is passed on unchanged.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode as Code02, IpAddressFamily as Family02};
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket::Host as _;
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket::Host as _;
use wasmtime_wasi::p3::bindings::sockets::types::{
    ErrorCode as Code03, HostTcpSocket, HostUdpSocket, IpAddressFamily as Family03,
};
use wasmtime_wasi::sockets::WasiSocketsView as _;
use wjob_model::denial::Denial;
use wjob_model::grant::Transport;

use super::{P2, P3, at};
use crate::state::State;

/// Wraps one function that makes a socket.
macro_rules! watch {
    ($linker:ident, $interface:expr, $name:literal, $family:ty, $code:ident, $refused:pat, $transport:ident, |$view:ident, $asked:ident| $make:expr) => {
        $linker.instance($interface)?.func_wrap_async(
            $name,
            |mut store: StoreContextMut<'_, State>, ($asked,): ($family,)| {
                Box::new(async move {
                    let state = store.data_mut();
                    let result = {
                        let mut $view = state.sockets();
                        $make
                    };
                    let code: $code = match result {
                        Ok(socket) => return Ok((Ok(socket),)),
                        Err(error) => error.downcast()?,
                    };
                    if matches!(code, $refused) {
                        state.denials.record(Denial::Socket { transport: Transport::$transport });
                    }
                    Ok((Err(code),))
                })
            },
        )?
    };
}

/// Watches 0.2; the linker must allow shadowing.
///
/// # Errors
/// Where it does not.
pub fn add_to_linker_p2(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let (tcp, udp) = (at("wasi:sockets/tcp-create-socket", P2), at("wasi:sockets/udp-create-socket", P2));
    watch!(linker, &tcp, "create-tcp-socket", Family02, Code02, Code02::AccessDenied, Tcp, |view, family| view
        .create_tcp_socket(family));
    watch!(linker, &udp, "create-udp-socket", Family02, Code02, Code02::AccessDenied, Udp, |view, family| view
        .create_udp_socket(family)
        .await);
    Ok(())
}

/// Watches 0.3; the linker must allow shadowing.
///
/// # Errors
/// Where it does not.
pub fn add_to_linker_p3(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let types = at("wasi:sockets/types", P3);
    watch!(linker, &types, "[static]tcp-socket.create", Family03, Code03, Code03::AccessDenied, Tcp, |view, family| {
        HostTcpSocket::create(&mut view, family)
    });
    watch!(linker, &types, "[static]udp-socket.create", Family03, Code03, Code03::AccessDenied, Udp, |view, family| {
        HostUdpSocket::create(&mut view, family).await
    });
    Ok(())
}
