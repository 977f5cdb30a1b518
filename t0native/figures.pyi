from t0native.reports.figures import *
