;; Waits for two thousand million things at once, which no memory holds.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (call $poll (i32.const 0) (i32.const 1024) (i32.const 0x7fffffff) (i32.const 2048))
      (then (call $exit (i32.const 3))))
    (call $exit (i32.const 0))))
