//! Matrix products of single precision behind the BLAS interface, for whisper.cpp.
//!
//! whisper.cpp compiles its kernels for one instruction set, here AVX2, and its products of 8-bit weights reach a fraction
//! of what the processor can do. Its BLAS backend passes the encoder's products to these functions instead, and the
//! `matrixmultiply` crate selects AVX-512 or AVX2 at run time. OpenBLAS also selects at run time, but from a list of
//! processor models: version 0.3.21 takes the kernels of 2004 for a model that it does not know.
//!
//! These symbols replace those of OpenBLAS in this program. OpenCV calls `cblas_sgemm` too, so it is implemented in full.

use std::ffi::c_int;

/// `CblasRowMajor` of `cblas.h`; the other order is by columns.
const ROW_MAJOR: c_int = 101;
/// `CblasNoTrans` of `cblas.h`.
const NOT_TRANSPOSED: c_int = 111;

/// Keeps the linker from taking the symbols from OpenBLAS, which comes after this crate.
pub(super) fn link() {
    std::hint::black_box((cblas_sgemm as *const (), openblas_set_num_threads as *const ()));
}

/// `c = alpha * op(a) * op(b) + beta * c`, where `op` transposes a matrix if asked to: `op(a)` has `m` rows and `k`
/// columns, `op(b)` has `k` rows and `n` columns. `lda`, `ldb` and `ldc` are the distances between rows or columns.
///
/// # Safety
/// The pointers are valid for matrices of these sizes, and `c` overlaps no other.
#[expect(unsafe_code, reason = "called by C")]
#[unsafe(no_mangle)]
unsafe extern "C" fn cblas_sgemm(
    order: c_int,
    transpose_a: c_int,
    transpose_b: c_int,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: f32,
    a: *const f32,
    lda: c_int,
    b: *const f32,
    ldb: c_int,
    beta: f32,
    c: *mut f32,
    ldc: c_int,
) {
    // The distances from one row to the next, and from one column to the next.
    let strides = |transpose: c_int, distance: c_int| {
        let distance = distance as isize;
        if (order == ROW_MAJOR) == (transpose == NOT_TRANSPOSED) { (distance, 1) } else { (1, distance) }
    };
    let ((a_row, a_column), (b_row, b_column)) = (strides(transpose_a, lda), strides(transpose_b, ldb));
    let (c_row, c_column) = strides(NOT_TRANSPOSED, ldc);
    let (m, n, k) = (m.max(0) as usize, n.max(0) as usize, k.max(0) as usize);
    // SAFETY: the caller's promise; the strides are those of the interface. `c` is not read where `beta` is 0.
    unsafe {
        matrixmultiply::sgemm(m, k, n, alpha, a, a_row, a_column, b, b_row, b_column, beta, c, c_row, c_column);
    }
}

/// Each call runs on the thread that makes it.
#[expect(unsafe_code, reason = "called by C")]
#[unsafe(no_mangle)]
extern "C" fn openblas_set_num_threads(_n_threads: c_int) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, for matrices that are given by element.
    fn expected(
        (m, n, k): (usize, usize, usize),
        (alpha, beta): (f32, f32),
        a: impl Fn(usize, usize) -> f32,
        b: impl Fn(usize, usize) -> f32,
        c: impl Fn(usize, usize) -> f32,
    ) -> Vec<f32> {
        let mut out = Vec::new();
        for row in 0..m {
            for column in 0..n {
                let product: f32 = (0..k).map(|at| a(row, at) * b(at, column)).sum();
                let before = if beta == 0.0 { 0.0 } else { beta * c(row, column) };
                out.push(alpha * product + before);
            }
        }
        out
    }

    #[test]
    fn each_order_and_transposition_follows_the_definition() {
        const COLUMN_MAJOR: c_int = 102;
        const TRANSPOSED: c_int = 112;
        let (m, n, k) = (7, 5, 19);
        // A distance that is larger than a row or a column: the matrices are parts of larger ones.
        let distance = 23;
        let value = |at: usize| ((at * 37 + 11) % 17) as f32 / 4.0 - 2.0;
        let stored: Vec<f32> = (0..distance * distance).map(value).collect();
        for order in [ROW_MAJOR, COLUMN_MAJOR] {
            for transpose_a in [NOT_TRANSPOSED, TRANSPOSED] {
                for transpose_b in [NOT_TRANSPOSED, TRANSPOSED] {
                    for (alpha, beta) in [(1.0, 0.0), (0.5, 1.0), (-2.0, 0.25)] {
                        let index = |is_transposed: bool, row: usize, column: usize| {
                            let (row, column) = if is_transposed { (column, row) } else { (row, column) };
                            if order == ROW_MAJOR { row * distance + column } else { column * distance + row }
                        };
                        let a = |row, column| stored[index(transpose_a == TRANSPOSED, row, column)];
                        let b = |row, column| stored[index(transpose_b == TRANSPOSED, row, column)];
                        // What is not read may be anything.
                        let before = if beta == 0.0 { f32::NAN } else { 1.5 };
                        let mut c = vec![before; distance * distance];
                        let d = distance as c_int;
                        #[expect(unsafe_code, reason = "what C calls")]
                        // SAFETY: the matrices are smaller than what is stored, and `c` is its own.
                        unsafe {
                            cblas_sgemm(
                                order,
                                transpose_a,
                                transpose_b,
                                m as c_int,
                                n as c_int,
                                k as c_int,
                                alpha,
                                stored.as_ptr(),
                                d,
                                stored.as_ptr(),
                                d,
                                beta,
                                c.as_mut_ptr(),
                                d,
                            );
                        }
                        let expected = expected((m, n, k), (alpha, beta), a, b, |_, _| before);
                        for row in 0..m {
                            for column in 0..n {
                                let (is, should) = (c[index(false, row, column)], expected[row * n + column]);
                                let at = format!("{order} {transpose_a} {transpose_b} {alpha} {beta} {row} {column}");
                                assert!((is - should).abs() < 1e-3, "{at}: {is}, not {should}");
                            }
                        }
                        let outside = c[index(false, m, 0)];
                        assert_eq!(outside.to_bits(), before.to_bits(), "nothing outside of the matrix is written");
                    }
                }
            }
        }
    }
}
