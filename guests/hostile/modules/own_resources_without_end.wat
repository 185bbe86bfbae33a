;; A component that makes resources of its own without an end: the table of their handles is the host's memory.
(component
  (type $thing (resource (rep i32)))
  (core func $new (canon resource.new $thing))
  (core module $main
    (import "host" "new" (func $new (param i32) (result i32)))
    (func (export "run") (result i32)
      (loop $again
        (drop (call $new (i32.const 1)))
        (br $again))
      unreachable))
  (core instance $main (instantiate $main
    (with "host" (instance (export "new" (func $new))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))
