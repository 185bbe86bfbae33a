//! `hostile3 NAME [KEY=VALUE]...`: performs one attack of the corpus by calls of WASI 0.3, and tells in one line what came
//! of it: `got THROUGH` and status 0, or `held` and status 1, the only other one that a command of 0.3 has. The values
//! are those of `hostile`. It judges nothing. On other hosts than WebAssembly it is empty.

#[cfg(target_arch = "wasm32")]
mod attacks;

wjob_sdk::command!(attack);

async fn attack() -> Result<(), String> {
    let name = std::env::args().nth(1).unwrap_or_default();
    match perform(&name).await {
        Ok(what) => {
            println!("attack {name}: got THROUGH: {what}");
            Ok(())
        }
        Err(why) => {
            println!("held: {why}");
            Err(why)
        }
    }
}

#[cfg(target_arch = "wasm32")]
async fn perform(name: &str) -> Result<String, String> {
    attacks::perform(name).await
}

#[cfg(not(target_arch = "wasm32"))]
async fn perform(name: &str) -> Result<String, String> {
    Ok(format!("{name} is only tried as a guest"))
}
