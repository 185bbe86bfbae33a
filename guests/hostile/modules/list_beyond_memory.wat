;; A component that hands the host a list of two thousand million handles, which begins at its memory's beginning.
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
  (core instance $memory (instantiate $memory))
  (core func $wait (canon lower (func $poll "poll")
    (memory (core memory $memory "memory")) (realloc (core func $memory "cabi_realloc"))))
  (core module $main
    (import "host" "wait" (func $wait (param i32 i32 i32)))
    (func (export "run") (result i32)
      (call $wait (i32.const 0) (i32.const 0x7fffffff) (i32.const 1024))
      (i32.const 0)))
  (core instance $main (instantiate $main
    (with "host" (instance (export "wait" (func $wait))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))
