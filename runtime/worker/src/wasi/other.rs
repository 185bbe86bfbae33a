//! Imports that nothing provides. Of `wasi:*` each missing function is linked to a trap that names its
//! interface: guests import more than they use. Anything else missing is an error before the start.
//! Nothing is provided here; a stand-in that answered would be a grant nobody wrote.

use thiserror::Error;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};

use super::{P2, P3, at};
use crate::state::State;

/// An import outside `wasi:*` that the linker does not provide, or one it provides differently.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the component imports {name}, which nothing provides: {reason}")]
pub struct UnknownImport {
    /// The import, as the component names it.
    pub name: String,
    /// What exactly is missing.
    pub reason: String,
}

/// The type of resources that no guest can ever hold.
struct Ungranted;

/// Links what is missing of `component`'s `wasi:*` imports to traps; called after everything else is
/// in `linker`, whose shadowing it switches off.
///
/// # Errors
/// Names the first import that is still missing or does not fit.
pub fn deny_unknown_wasi(
    linker: &mut Linker<State>,
    engine: &Engine,
    component: &Component,
) -> Result<(), UnknownImport> {
    // Without shadowing, defining a name tells whether it was there.
    linker.allow_shadowing(false);
    let mut known = Vec::new();
    for (name, import) in component.component_type().imports(engine) {
        if let ComponentItem::ComponentInstance(interface) = &import.ty
            && name.starts_with("wasi:")
        {
            fill(linker, engine, name, interface, &mut known).map_err(|error| unknown(name, &error))?;
        }
    }
    match linker.substituted_component_type(component) {
        Ok(_) => Ok(()),
        Err(error) => Err(unknown(culprit(engine, component, &error), &error)),
    }
}

/// Adds what `interface` has and the linker lacks.
fn fill(
    linker: &mut Linker<State>,
    engine: &Engine,
    name: &str,
    interface: &ComponentInstance,
    known: &mut Vec<ResourceType>,
) -> wasmtime::Result<()> {
    let plain = plain(name);
    let mut instance = linker.instance(&host_name(name))?;
    for (item, export) in interface.exports(engine) {
        match export.ty {
            ComponentItem::ComponentFunc(function) => trap(&mut instance, plain, item, &function),
            ComponentItem::Resource(resource) if !known.contains(&resource) => {
                known.push(resource);
                let ungranted = ResourceType::host::<Ungranted>();
                already_there(instance.resource(item, ungranted, |_, _| Ok(())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Defines `item` so that a call traps, unless it is there.
fn trap(instance: &mut LinkerInstance<'_, State>, interface: &str, item: &str, function: &ComponentFunc) {
    let message = format!("{interface} is not granted by wjob (called: {item})");
    let added = if function.async_() {
        instance.func_new_concurrent(item, move |_, _, _, _| {
            let message = message.clone();
            Box::pin(async move { Err(wasmtime::Error::msg(message)) })
        })
    } else {
        instance.func_new(item, move |_, _, _, _| Err(wasmtime::Error::msg(message.clone())))
    };
    already_there(added);
}

/// A definition fails only where the name is taken, which is what was hoped for; should it ever fail
/// for another reason, the check of the whole component that follows names the import.
fn already_there(added: wasmtime::Result<()>) {
    drop(added);
}

/// The name under which the linker has `import`: another patch version of 0.2 or 0.3 is ours, too.
fn host_name(import: &str) -> String {
    let Some((interface, version)) = import.split_once('@') else {
        return import.to_owned();
    };
    let patch_of = |series: &str| {
        let patch = version.strip_prefix(series).unwrap_or_default();
        !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit())
    };
    if patch_of("0.2.") {
        at(interface, P2)
    } else if patch_of("0.3.") {
        at(interface, P3)
    } else {
        import.to_owned()
    }
}

fn plain(import: &str) -> &str {
    import.split_once('@').map_or(import, |(name, _)| name)
}

/// The import that a type check stopped at: its message quotes the name.
fn culprit(engine: &Engine, component: &Component, error: &wasmtime::Error) -> String {
    let message = error.to_string();
    let ty = component.component_type();
    let found = ty.imports(engine).map(|(name, _)| name).find(|name| message.contains(&format!("`{name}`")));
    found.unwrap_or("something").to_owned()
}

fn unknown(name: impl Into<String>, error: &wasmtime::Error) -> UnknownImport {
    UnknownImport { name: name.into(), reason: error.root_cause().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Config;

    fn engine() -> Engine {
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        Engine::new(&config).unwrap()
    }

    fn linker(engine: &Engine) -> Linker<State> {
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        wasmtime_wasi::p3::add_to_linker(&mut linker).unwrap();
        linker.allow_shadowing(true);
        linker
    }

    fn deny(import: &str, ty: &str) -> Result<(), UnknownImport> {
        let engine = engine();
        let text = format!("(component (import \"{import}\" {ty}))");
        let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        deny_unknown_wasi(&mut linker(&engine), &engine, &component)
    }

    #[test]
    fn any_wasi_import_is_linked() {
        for (import, ty) in [
            ("wasi:keyvalue/store@0.2.0-draft", r#"(instance (export "f" (func)))"#),
            ("wasi:keyvalue/store", r#"(instance (export "f" (func)))"#),
            ("wasi:nn/graph@0.2.1", r#"(instance (export "g" (type (sub resource))))"#),
            ("wasi:random/random@0.2.99", r#"(instance (export "newer" (func)))"#),
            ("wasi:random/random@0.2.0", r#"(instance (export "get-random-u64" (func (result u64))))"#),
        ] {
            assert_eq!(deny(import, ty), Ok(()), "{import}");
        }
    }

    #[test]
    fn what_is_there_stays_there() {
        let wrong = r#"(instance (export "get-random-u64" (func (result string))))"#;
        let error = deny("wasi:random/random@0.2.3", wrong).unwrap_err();
        assert_eq!(error.name, "wasi:random/random@0.2.3");
    }

    #[test]
    fn other_imports_are_errors_that_name_them() {
        for (import, ty) in [("example:imaging/resize@1.0.0", r#"(instance (export "f" (func)))"#), ("hello", "(func)")]
        {
            assert_eq!(deny(import, ty).unwrap_err().name, import);
        }
    }

    #[test]
    fn versions_of_the_host() {
        for (import, expected) in [
            ("wasi:cli/run@0.2.0", "wasi:cli/run@0.2.12"),
            ("wasi:cli/run@0.3.1", "wasi:cli/run@0.3.0"),
            ("wasi:cli/run@0.2.0-rc-2023-12-05", "wasi:cli/run@0.2.0-rc-2023-12-05"),
            ("wasi:config/store@0.2.0-rc.1", "wasi:config/store@0.2.0-rc.1"),
            ("wasi:nn/graph", "wasi:nn/graph"),
        ] {
            assert_eq!(host_name(import), expected);
        }
    }
}
