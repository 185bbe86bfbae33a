;; Takes all memory that 32 bits can address but for its last page, and fills and copies the whole of it over and over. Each
;; is one instruction that takes the better part of a second or more, in the middle of which only the kernel can end it.
;; Memory that it is not given is its end: there is less of the same in copy_all_memory.
(module
  (memory (export "memory") 1 65535)
  (func (export "_start")
    (if (i32.eq (memory.grow (i32.const 65534)) (i32.const -1)) (then (unreachable)))
    (loop $again
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 0xffff0000))
      (memory.copy (i32.const 1) (i32.const 0) (i32.const 0xfffeffff))
      (br $again))))
