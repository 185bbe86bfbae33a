;; One table as large as a number can be.
(module
  (memory (export "memory") 1)
  (table $table 0 externref)
  (func (export "_start")
    (loop $again
      (br_if $again
        (i32.ne (table.grow $table (ref.null extern) (i32.const 0x00ffffff)) (i32.const -1))))
    unreachable))
