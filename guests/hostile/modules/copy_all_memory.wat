;; Takes as much memory as it is given, up to 4 GiB, and fills and copies all of it over and over: each is one
;; instruction, in the middle of which nothing can end it.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $size i32)
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 256)) (i32.const -1))))
    (local.set $size (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536)))
    (loop $again
      (memory.fill (i32.const 0) (i32.const 1) (local.get $size))
      (memory.copy (i32.const 1) (i32.const 0) (local.get $size))
      (br $again))))
