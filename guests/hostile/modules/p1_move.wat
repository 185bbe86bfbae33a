;; Gives a file of a ReadOnly folder a name in a ReadWrite one, and the other way round.
(module
  (import "wasi_snapshot_preview1" "path_link"
    (func $link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename"
    (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink"
    (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "file")
  (data (i32.const 16) "stolen")
  (func $through (param $refused i32)
    (if (i32.eqz (local.get $refused)) (then (call $exit (i32.const 0)))))
  (func $both (param $from i32) (param $to i32)
    (call $through (call $link (local.get $from) (i32.const 0) (i32.const 0) (i32.const 4)
      (local.get $to) (i32.const 16) (i32.const 6)))
    (call $through (call $link (local.get $from) (i32.const 1) (i32.const 0) (i32.const 4)
      (local.get $to) (i32.const 16) (i32.const 6)))
    (call $through (call $rename (local.get $from) (i32.const 0) (i32.const 4)
      (local.get $to) (i32.const 16) (i32.const 6))))
  (func (export "_start")
    (call $both (i32.const 3) (i32.const 4))
    (call $both (i32.const 4) (i32.const 3))
    (call $through (call $rename (i32.const 3) (i32.const 0) (i32.const 4) (i32.const 3) (i32.const 16) (i32.const 6)))
    (call $through (call $symlink (i32.const 0) (i32.const 4) (i32.const 3) (i32.const 16) (i32.const 6)))
    (call $exit (i32.const 3))))
