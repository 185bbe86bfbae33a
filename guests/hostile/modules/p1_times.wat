;; Sets times that no clock shows, alone and together with "now".
(module
  (import "wasi_snapshot_preview1" "path_filestat_set_times"
    (func $set (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get"
    (func $status (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "file")
  (func $both (param $time i64)
    (local $flags i32)
    (loop $next
      (drop (call $set (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 4)
        (local.get $time) (local.get $time) (local.get $flags)))
      (drop (call $status (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 1024)))
      (local.set $flags (i32.add (local.get $flags) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $flags) (i32.const 16)))))
  (func (export "_start")
    (call $both (i64.const -1))
    (call $both (i64.const 0x7fffffffffffffff))
    (call $both (i64.const 0x8000000000000000))
    (call $both (i64.const 0))
    (call $both (i64.const 999999999))
    (if (call $status (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 1024))
      (then (call $exit (i32.const 0))))
    (call $exit (i32.const 3))))
