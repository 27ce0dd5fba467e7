//! Embeds the migrations anew when one is added: the macro reads a folder, and cargo does not watch it by itself.
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
