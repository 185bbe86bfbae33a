;; Writes two thousand million pieces of four thousand million bytes each.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store offset=0 (i32.const 0) (i32.const 0))
    (i32.store offset=4 (i32.const 0) (i32.const -1))
    (if (i32.eqz (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
      (then (call $exit (i32.const 0))))
    (if (i32.eqz (call $write (i32.const 1) (i32.const 0) (i32.const 0x7fffffff) (i32.const 64)))
      (then (call $exit (i32.const 0))))
    (call $exit (i32.const 3))))
