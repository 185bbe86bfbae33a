;; Empties a file of a ReadOnly folder by opening it, with the right to read, with all and with none.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "file")
  (func $try (param $flags i32) (param $rights i64)
    (if (i32.eqz (call $open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 4)
          (local.get $flags) (local.get $rights) (i64.const 0x1fffffff) (i32.const 0) (i32.const 1024)))
      (then (call $exit (i32.const 0)))))
  (func (export "_start")
    ;; TRUNC is 8 and CREAT 1; reading is 2.
    (call $try (i32.const 8) (i64.const 0))
    (call $try (i32.const 8) (i64.const 2))
    (call $try (i32.const 9) (i64.const 2))
    (call $try (i32.const 8) (i64.const 0x1fffffff))
    (call $exit (i32.const 3))))
