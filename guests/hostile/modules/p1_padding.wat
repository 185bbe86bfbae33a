;; Looks for bytes of the host in what it writes between the fields of its answers. The memory holds 0xAA before; what
;; lies between the fields must hold that, or nothing, afterwards.
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $filestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $look (param $at i32) (param $end i32) (local $byte i32)
    (loop $next
      (local.set $byte (i32.load8_u (local.get $at)))
      (if (i32.and
            (i32.ne (local.get $byte) (i32.const 0xaa))
            (i32.ne (local.get $byte) (i32.const 0)))
        (then (call $exit (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end)))))
  (func (export "_start")
    (memory.fill (i32.const 1024) (i32.const 0xaa) (i32.const 60000))
    ;; prestat: a tag, and a length at 4.
    (drop (call $prestat (i32.const 3) (i32.const 1024)))
    (call $look (i32.const 1025) (i32.const 1028))
    ;; fdstat: a type, flags at 2, rights at 8 and 16.
    (drop (call $fdstat (i32.const 3) (i32.const 2048)))
    (call $look (i32.const 2049) (i32.const 2050))
    (call $look (i32.const 2052) (i32.const 2056))
    ;; filestat: a type at 16, the number of names at 24.
    (drop (call $filestat (i32.const 3) (i32.const 3072)))
    (call $look (i32.const 3089) (i32.const 3096))
    ;; dirent: the next at 0, the inode at 8, the name's length at 16, a type at 20, and the name from 24 on.
    (drop (call $readdir (i32.const 3) (i32.const 4096) (i32.const 24) (i64.const 0) (i32.const 512)))
    (call $look (i32.const 4117) (i32.const 4120))
    ;; event: an error at 8, a type at 10, a length at 16, flags at 24. The subscription is a clock's.
    (i32.store offset=16 (i32.const 0) (i32.const 1))
    (drop (call $poll (i32.const 0) (i32.const 8192) (i32.const 1) (i32.const 512)))
    (call $look (i32.const 8203) (i32.const 8208))
    (call $look (i32.const 8218) (i32.const 8224))
    (call $exit (i32.const 3))))
