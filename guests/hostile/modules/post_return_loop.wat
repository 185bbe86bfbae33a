;; A component that is done, and computes for ever when the host tells it that its answer was taken.
(component
  (core module $main
    (func (export "run") (result i32) (i32.const 0))
    (func (export "after") (param i32) (loop $again (br $again))))
  (core instance $main (instantiate $main))
  (func $run (result (result)) (canon lift (core func $main "run") (post-return (core func $main "after"))))
  (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))
