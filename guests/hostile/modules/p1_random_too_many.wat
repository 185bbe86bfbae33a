;; Draws four thousand million random bytes into a memory of 64 KiB.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.eqz (call $random (i32.const 0) (i32.const -1)))
      (then (call $exit (i32.const 0))))
    (call $exit (i32.const 3))))
